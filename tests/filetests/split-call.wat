;; A loop with a call that is seldom made: only its own block saves values and loads them again.
;;! show: ra
;;! machine: level 1
;;! allocator: splitting
;;! run: f 10 3 => 58
;;! run: f 1 0 => 1
(module
  (func $twice (param $x i32) (result i32)
    (i32.add (local.get $x) (local.get $x)))
  (func (export "f") (param $n i32) (param $rare i32) (result i32)
    (local $sum i32)
    (loop $next
      (if (i32.eq (local.get $n) (local.get $rare))
        (then (local.set $sum (i32.add (local.get $sum) (i32.sub (call $twice (local.get $n)) (local.get $rare))))))
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
