;; In a loop the second product does not wait for the first one's sum, and loads keep their order.
;;! show: minst sched
;;! machine: schedule
;;! run: f 2 3 => 72
;;! run: f 0 1 => 5
(module (memory 1)
  (func $f (export "f") (param $x i32) (param $y i32) (result i32) (local $a i32) (local $b i32) (local $s i32)
    (loop $again
      (local.set $a (i32.mul (i32.mul (local.get $x) (local.get $y)) (local.get $x)))
      (local.set $b (i32.mul (i32.mul (local.get $y) (local.get $x)) (local.get $y)))
      (local.set $s (i32.add (local.get $s)
        (i32.add (i32.add (i32.mul (local.get $a) (i32.const 3)) (i32.mul (local.get $b) (i32.const 2)))
          (i32.add (i32.load (local.get $x)) (i32.load offset=8 (local.get $y))))))
      (br_if $again (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 2))))
    (local.get $s)))
