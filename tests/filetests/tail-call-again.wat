;; A function that calls itself in its own place is a loop: it polls, and its locals are new in each round.
;;! show: ssa opt
;;! passes: level 1
;;! run: f 10 0 => 55
(module
  (func $f (export "f") (param i32 i32) (result i32) (local i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.add (local.get 1) (local.get 2)))))
    (local.set 2 (i32.const 7))
    (return_call $f (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (local.get 0)))))
