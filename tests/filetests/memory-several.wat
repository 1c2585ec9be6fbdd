;; Each memory has a cell in the context: its base is loaded before its accesses, and kept until another one's is. What
;; was stored in one is not what another one has at the same address.
;;! show: ssa asm
;;! passes: cfg share loads
;;! run: f 8 => 12
;;! run: g 65532 => 0
;;! run: g 65533 => trap memory_out_of_bounds
(module (memory $a 1) (memory $b 1)
  (func $f (export "f") (param i32) (result i32)
    (i32.store $a (local.get 0) (i32.const 1))
    (i32.store $b (local.get 0) (i32.const 2))
    (i32.add (i32.mul (i32.load $a (local.get 0)) (i32.const 10)) (i32.load $b (local.get 0))))
  (func $g (export "g") (param i32) (result i32) (i32.load $b (local.get 0))))
