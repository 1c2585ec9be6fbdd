;; Unpredictable branches and i64 division: Collatz lengths. run(n) = the longest chain that starts below n.
(module
  (func (export "run") (param $n i32) (result i32)
    (local $i i32) (local $x i64) (local $steps i32) (local $best i32)
    (local.set $i (i32.const 1))
    (loop $start
      (local.set $x (i64.extend_i32_u (local.get $i)))
      (local.set $steps (i32.const 0))
      (block $done
        (loop $step
          (br_if $done (i64.eq (local.get $x) (i64.const 1)))
          (if (i64.eqz (i64.rem_u (local.get $x) (i64.const 2)))
            (then (local.set $x (i64.div_u (local.get $x) (i64.const 2))))
            (else (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 3)) (i64.const 1)))))
          (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
          (br $step)))
      (local.set $best (select (local.get $steps) (local.get $best) (i32.gt_u (local.get $steps) (local.get $best))))
      (br_if $start (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $best)))
