;; A store in between, another use, and another width keep the load an instruction of its own.
;;! show: minst
;;! machine: fold-loads
;;! run: store 0 0 => 7
;;! run: twice 0 1 => 15
;;! run: narrow 0 1 => 8
(module (memory 1) (data (i32.const 0) "\07")
  (func $store (export "store") (param i32 i32) (result i32) (local $x i32)
    (local.set $x (i32.load (local.get 0)))
    (i32.store (i32.const 8) (i32.const 1))
    (i32.add (local.get 1) (local.get $x)))
  (func $twice (export "twice") (param i32 i32) (result i32) (local $x i32)
    (i32.add (i32.add (local.get 1) (local.tee $x (i32.load (local.get 0)))) (local.get $x)))
  (func $narrow (export "narrow") (param i32 i32) (result i32) (i32.add (local.get 1) (i32.load8_u (local.get 0)))))
