;; share: what was computed before is not computed again where the first dominates; the arms of an if know nothing
;; Of each other.
;;! show: opt
;;! passes: share
;;! run: f 3 4 => 49
;;! run: arms 3 4 => 12
(module
  (func $f (export "f") (param i32 i32) (result i32)
    (i32.mul (i32.add (local.get 0) (local.get 1)) (i32.add (local.get 0) (local.get 1))))
  (func $arms (export "arms") (param i32 i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.mul (local.get 0) (local.get 1)))
      (else (i32.sub (i32.mul (local.get 0) (local.get 1)) (i32.const 1))))))
