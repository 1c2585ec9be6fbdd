;; A branch on a value tests the register with itself.
;;! show: asm
;;! run: f 0 => 20
;;! run: f -5 => 10
(module (func $f (export "f") (param i32) (result i32)
  (if (result i32) (local.get 0) (then (i32.const 10)) (else (i32.const 20)))))
