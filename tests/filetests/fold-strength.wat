;; fold: a product with a power of two is a shift, and an unsigned remainder a mask.
;;! show: opt
;;! passes: fold
;;! run: times 5 => 40
;;! run: rem 29 => 5
(module
  (func $times (export "times") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 8)))
  (func $rem (export "rem") (param i32) (result i32) (i32.rem_u (local.get 0) (i32.const 8))))
