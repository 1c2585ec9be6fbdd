;; Outside of loops the order of the source stays: what runs once gains nothing.
;;! show: sched
;;! machine: schedule
;;! run: f 2 3 => 66
(module
  (func $f (export "f") (param i32 i32) (result i32) (local $a i32) (local $b i32)
    (local.set $a (i32.mul (i32.mul (local.get 0) (local.get 1)) (local.get 0)))
    (local.set $b (i32.mul (i32.mul (local.get 1) (local.get 0)) (local.get 1)))
    (i32.sub (i32.add (i32.mul (local.get $a) (i32.const 3)) (i32.mul (local.get $b) (i32.const 2))) (i32.const 6))))
