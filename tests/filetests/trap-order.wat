;; Store, trap, store: their order is the source's, with all passes.
;;! show: opt
;;! passes: level 1
;;! run: f 0 => trap div_by_zero
;;! run: f 2 => 2
(module (memory 1) (func $f (export "f") (param i32) (result i32)
  (i32.store (i32.const 0) (i32.const 1))
  (i32.store (i32.const 4) (i32.div_u (i32.const 4) (local.get 0)))
  (i32.store (i32.const 0) (i32.const 2))
  (i32.load (i32.const 4))))
