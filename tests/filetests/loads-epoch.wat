;; loads: a store to another address and a call end what is known of memory; a global.set does not.
;;! show: opt
;;! passes: share loads
(module (memory 1) (global $g (mut i32) (i32.const 0))
  (func $nothing)
  (func $store (param i32 i32) (result i32)
    (i32.load (local.get 0)) (i32.store (local.get 1) (i32.const 5)) (i32.add (i32.load (local.get 0))))
  (func $call (param i32) (result i32)
    (i32.load (local.get 0)) (call $nothing) (i32.add (i32.load (local.get 0))))
  (func $global (param i32) (result i32)
    (i32.load (local.get 0)) (global.set $g (i32.const 5)) (i32.add (i32.load (local.get 0)))))
