;; Monte Carlo: n points from a generator of 64 bits, counted in a circle and summed by rings. run(n) = their
;; share, and a sum.
(module
  (func (export "run") (param $n i32) (result f64)
    (local $state i64) (local $inside i32) (local $sum f64) (local $i i32) (local $x f64) (local $y f64)
      (local $r f64)
    (local.set $state (i64.const 88172645463325252))
    (local.set $inside (i32.const 0))
    (local.set $sum (f64.const 0.0))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop1
        (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 13))))
        (local.set $state (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 7))))
        (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 17))))
        (local.set $x (f64.mul (f64.convert_i32_s (i32.wrap_i64 (i64.shr_u (local.get $state) (i64.const 40))))
          (f64.const 5.960464477539063e-08)))
        (local.set $y (f64.mul (f64.convert_i32_s (i32.wrap_i64 (i64.and (local.get $state) (i64.const 16777215))))
          (f64.const 5.960464477539063e-08)))
        (local.set $r (f64.add (f64.mul (local.get $x) (local.get $x)) (f64.mul (local.get $y) (local.get $y))))
        (if (f64.lt (local.get $r) (f64.const 1.0))
          (then
            (local.set $inside (i32.add (local.get $inside) (i32.const 1)))
            (local.set $sum (f64.add (local.get $sum) (f64.sqrt (f64.sub (f64.const 1.0) (local.get $r)))))))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (f64.add (f64.mul (f64.convert_i32_s (local.get $inside)) (f64.const 4.0)) (f64.div (local.get $sum)
      (f64.const 1024.0)))))
