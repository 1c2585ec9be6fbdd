;; cfg: a branch on a constant is decided, and the blocks of the other way are gone.
;;! show: ssa opt
;;! passes: cfg
;;! run: f => 10
(module (func $f (export "f") (result i32)
  (if (result i32) (i32.const 1) (then (i32.const 10)) (else (i32.const 20)))))
