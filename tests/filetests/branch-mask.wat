;; A mask that only decides a branch is tested; one byte of the immediate is enough where it fits.
;;! show: minst
;;! run: flag 3 => 1
;;! run: flag 4 => 2
;;! run: both 12 3 => 1
;;! run: both 12 4 => 2
;;! run: large 256 => 1
(module
  (func $flag (export "flag") (param i32) (result i32)
    (if (result i32) (i32.and (local.get 0) (i32.const 1)) (then (i32.const 1)) (else (i32.const 2))))
  (func $both (export "both") (param i64 i64) (result i32)
    (if (result i32) (i64.eqz (i64.and (local.get 0) (local.get 1))) (then (i32.const 1)) (else (i32.const 2))))
  (func $large (export "large") (param i32) (result i32)
    (select (i32.const 1) (i32.const 2) (i32.ne (i32.and (local.get 0) (i32.const 256)) (i32.const 0)))))
