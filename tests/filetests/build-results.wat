;; Several results travel as operands of the return.
;;! show: ssa minst
;;! run: f 7 2 => 9 5
(module (func $f (export "f") (param i32 i32) (result i32 i32)
  (i32.add (local.get 0) (local.get 1))
  (i32.sub (local.get 0) (local.get 1))))
