;; Both arms lead to one block with a parameter; a local that only one arm sets is a parameter too, if it is read.
;;! show: ssa
;;! run: f 1 => 30
;;! run: f 0 => 2
(module (func $f (export "f") (param i32) (result i32) (local $x i32) (local $unread i32)
  (if (result i32) (local.get 0)
    (then (local.set $x (i32.const 20)) (local.set $unread (i32.const 5)) (i32.const 10))
    (else (i32.const 2)))
  (i32.add (local.get $x))))
