;; An address of 64 bits is compared with the size less what the access reaches; where that may be more than there is,
;; the sum is looked at for a carry. A place that every instance has is not looked at.
;;! show: asm
;;! run: near 65528 => 0
;;! run: near 65529 => trap memory_out_of_bounds
;;! run: near 0xffffffffffffffff => trap memory_out_of_bounds
;;! run: far 0 => trap memory_out_of_bounds
;;! run: far 0xfffffffffffe0001 => trap memory_out_of_bounds
;;! run: fixed => 0
(module (memory i64 1)
  (func $near (export "near") (param i64) (result i32) (i32.load offset=4 (local.get 0)))
  (func $far (export "far") (param i64) (result i32) (i32.load8_u offset=131072 (local.get 0)))
  (func $fixed (export "fixed") (result i32) (i32.load offset=4 (i64.const 100))))
