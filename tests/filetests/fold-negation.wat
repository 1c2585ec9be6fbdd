;; fold: a branch on `x == 0` is a branch on x with its ways exchanged, and eqz of a comparison is the opposite one.
;;! show: ssa opt
;;! passes: fold
;;! run: branch 0 => 10
;;! run: not 1 2 => 0
(module
  (func $branch (export "branch") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 10)) (else (i32.const 20))))
  (func $not (export "not") (param i32 i32) (result i32) (i32.eqz (i32.lt_s (local.get 0) (local.get 1)))))
