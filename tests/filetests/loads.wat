;; loads: two loads with nothing written between are one; a whole store tells what a load finds, a narrow one does not.
;;! show: opt
;;! passes: share loads
;;! run: twice 0 => 0
;;! run: stored 0 9 => 9
;;! run: narrow 0 511 => 255
(module (memory 1)
  (func $twice (export "twice") (param i32) (result i32)
    (i32.add (i32.load (local.get 0)) (i32.load (local.get 0))))
  (func $stored (export "stored") (param i32 i32) (result i32)
    (i32.store (local.get 0) (local.get 1))
    (i32.load (local.get 0)))
  (func $narrow (export "narrow") (param i32 i32) (result i32)
    (i32.store8 (local.get 0) (local.get 1))
    (i32.load (local.get 0))))
