;; cfg: a parameter that is the same value on every edge is that value.
;;! show: ssa opt
;;! passes: cfg
;;! run: f 7 1 => 7
(module (func $f (export "f") (param i32 i32) (result i32) (local $x i32)
  (if (result i32) (local.get 1)
    (then (local.set $x (local.get 0)) (local.get 0))
    (else (local.set $x (local.get 0)) (local.get 0)))))
