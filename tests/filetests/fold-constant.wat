;; fold: operations on constants are computed; those that would trap are not.
;;! show: opt
;;! passes: fold
;;! run: f => 42
;;! run: trap => trap div_by_zero
(module
  (func $f (export "f") (result i32)
    (i32.add (i32.mul (i32.const 5) (i32.const 8)) (i32.popcnt (i32.const 5))))
  (func $trap (export "trap") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))
