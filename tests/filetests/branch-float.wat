;; Floats: equality needs the parity flag, since NaN is equal to nothing; `<` is `>` with the operands exchanged.
;;! show: minst asm
;;! run: eq nan nan => 0
;;! run: eq 1.5 1.5 => 1
;;! run: lt nan 1 => 0
;;! run: lt 1 2 => 1
(module
  (func $eq (export "eq") (param f64 f64) (result i32)
    (if (result i32) (f64.eq (local.get 0) (local.get 1)) (then (i32.const 1)) (else (i32.const 0))))
  (func $lt (export "lt") (param f64 f64) (result i32)
    (if (result i32) (f64.lt (local.get 0) (local.get 1)) (then (i32.const 1)) (else (i32.const 0)))))
