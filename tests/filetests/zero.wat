;; Zero is a register xor itself, before what sets flags.
;;! show: minst asm
;;! machine: zero
;;! run: f 3 4 => 0
;;! run: f 5 4 => 5
(module (func $f (export "f") (param i32 i32) (result i32)
  (select (i32.const 0) (local.get 0) (i32.lt_u (local.get 0) (local.get 1)))))
