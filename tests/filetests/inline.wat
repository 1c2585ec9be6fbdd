;; inline: a small function takes the place of its call; the values of its parameters are the arguments.
;;! show: opt
;;! passes: inline
;;! run: f 3 4 => 25
(module
  (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
  (func $f (export "f") (param i32 i32) (result i32)
    (i32.add (call $square (local.get 0)) (call $square (local.get 1)))))
