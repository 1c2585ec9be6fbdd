;; Size is a shift of the length in bytes; growing and bulk operations call a builtin.
;;! show: minst
;;! run: f 1 => 2
(module (memory 1)
  (func $f (export "f") (param i32) (result i32)
    (drop (memory.grow (local.get 0)))
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 100))
    (memory.copy (i32.const 100) (i32.const 0) (i32.const 10))
    (memory.size)))
