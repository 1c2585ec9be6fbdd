;; strength and lea: products by 3, 5 and 9 are a shift and an addition, which is one address computation.
;;! show: opt minst
;;! passes: fold strength
;;! machine: lea
;;! run: three 7 => 21
;;! run: nine 7 => 63
(module
  (func $three (export "three") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
  (func $nine (export "nine") (param i64) (result i64) (i64.mul (local.get 0) (i64.const 9))))
