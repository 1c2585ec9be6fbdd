;; The second product does not wait for the first one's sum; loads keep their order.
;;! show: minst sched
;;! machine: schedule
;;! run: f 2 3 => 72
(module (memory 1)
  (func $f (export "f") (param i32 i32) (result i32) (local $a i32) (local $b i32)
    (local.set $a (i32.mul (i32.mul (local.get 0) (local.get 1)) (local.get 0)))
    (local.set $b (i32.mul (i32.mul (local.get 1) (local.get 0)) (local.get 1)))
    (i32.add (i32.add (i32.mul (local.get $a) (i32.const 3)) (i32.mul (local.get $b) (i32.const 2)))
      (i32.add (i32.load (local.get 0)) (i32.load offset=8 (local.get 1))))))
