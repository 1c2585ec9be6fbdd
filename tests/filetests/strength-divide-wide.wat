;; strength: 64-bit division by a constant is a multiplication whose upper half is taken, and a negative divisor costs a negation.
;;! show: opt
;;! passes: fold strength
;;! run: u 1000000000000 => 100000000000
;;! run: s 100 => -10
(module
  (func $u (export "u") (param i64) (result i64) (i64.div_u (local.get 0) (i64.const 10)))
  (func $s (export "s") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const -10))))
