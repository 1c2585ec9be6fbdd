;; The naive allocator: every value has a slot, every operation loads and stores.
;;! show: ra asm
;;! allocator: naive
;;! run: f 3 4 => 21
(module (func $f (export "f") (param i32 i32) (result i32)
  (i32.mul (i32.add (local.get 0) (local.get 1)) (i32.const 3))))
