;; fold: what changes nothing goes, and constants of a chain meet.
;;! show: opt
;;! passes: fold
;;! run: nothing 9 => 9
;;! run: chain 9 => 14
;;! run: self 9 => 0
;;! run: masks 0xabcd => 205
(module
  (func $nothing (export "nothing") (param i32) (result i32)
    (i32.or (i32.mul (i32.add (local.get 0) (i32.const 0)) (i32.const 1)) (i32.const 0)))
  (func $chain (export "chain") (param i32) (result i32)
    (i32.add (i32.add (local.get 0) (i32.const 2)) (i32.const 3)))
  (func $self (export "self") (param i32) (result i32) (i32.xor (local.get 0) (local.get 0)))
  (func $masks (export "masks") (param i32) (result i32)
    (i32.and (i32.and (local.get 0) (i32.const 0xfff)) (i32.const 0xff))))
