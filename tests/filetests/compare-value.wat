;; A comparison that is used as a number is a setcc; with another use beside the branch it is computed once, and the
;; branch asks the flags, which are there still.
;;! show: minst asm
;;! run: f 1 2 => 1
;;! run: both 1 2 => 1
;;! run: both 2 1 => 5
(module
  (func $f (export "f") (param i64 i64) (result i32) (i64.lt_u (local.get 0) (local.get 1)))
  (func $both (export "both") (param i32 i32) (result i32) (local $c i32)
    (if (local.tee $c (i32.lt_u (local.get 0) (local.get 1))) (then (return (local.get $c))))
    (i32.add (local.get $c) (i32.const 5))))
