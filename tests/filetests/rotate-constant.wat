;; With BMI2 a rotation by a constant leaves an input that lives on as it is: no copy. One that ends is rotated in place.
;;! show: minst asm
;;! cpu: bmi2
;;! run: sum 1 => 67125248
;;! run: last 1 => 4
;;! run: both -9223372036854775807 => 72
(module
  (func $sum (export "sum") (param i32) (result i32)
    (i32.xor (i32.rotr (local.get 0) (i32.const 6)) (i32.rotl (local.get 0) (i32.const 14))))
  (func $last (export "last") (param i32) (result i32) (i32.rotl (local.get 0) (i32.const 2)))
  (func $both (export "both") (param i64) (result i64)
    (i64.add (i64.rotl (local.get 0) (i64.const 4)) (i64.rotr (local.get 0) (i64.const 59)))))
