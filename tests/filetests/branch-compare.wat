;; A comparison whose only user is a branch becomes flags, and `eqz` of it another condition.
;;! show: minst asm
;;! run: less 1 2 => 10
;;! run: less 2 1 => 20
;;! run: not_less 1 2 => 20
(module
  (func $less (export "less") (param i32 i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (local.get 1)) (then (i32.const 10)) (else (i32.const 20))))
  (func $not_less (export "not_less") (param i32 i32) (result i32)
    (if (result i32) (i32.eqz (i32.lt_s (local.get 0) (local.get 1))) (then (i32.const 10)) (else (i32.const 20)))))
