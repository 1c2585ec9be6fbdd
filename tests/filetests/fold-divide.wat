;; fold: division by another constant is a wide multiplication and a shift, by the theorem of Granlund and Montgomery.
;;! show: opt
;;! passes: fold
;;! run: u 1000000 => 100000
;;! run: s -1000001 => -100000
;;! run: half -7 => -3
(module
  (func $u (export "u") (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 10)))
  (func $s (export "s") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 10)))
  (func $half (export "half") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 2))))
