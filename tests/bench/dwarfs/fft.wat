;; Spectral methods: n transforms of 256 complex doubles, in place, with the roots multiplied up. run(n) = a
;; checksum.
(module
  (memory 1)
  (func $transform
    (local $length i32) (local $angle_re f64) (local $angle_im f64) (local $base i32) (local $w_re f64)
      (local $w_im f64) (local $half i32) (local $k i32) (local $a i32) (local $b i32) (local $t_re f64)
      (local $t_im f64) (local $next_re f64)
    (local.set $length (i32.const 2))
    (local.set $angle_re (f64.const -1.0))
    (local.set $angle_im (f64.const 0.0))
    (block $out2
      (br_if $out2 (i32.eqz (i32.le_s (local.get $length) (i32.const 256))))
      (loop $loop1
        (local.set $base (i32.const 0))
        (block $out5
          (br_if $out5 (i32.eqz (i32.lt_s (local.get $base) (i32.const 256))))
          (loop $loop4
            (local.set $w_re (f64.const 1.0))
            (local.set $w_im (f64.const 0.0))
            (local.set $half (i32.shr_u (local.get $length) (i32.const 1)))
            (local.set $k (local.get $base))
            (block $out8
              (br_if $out8 (i32.eqz (i32.lt_s (local.get $k) (i32.add (local.get $base) (local.get $half)))))
              (loop $loop7
                (local.set $a (i32.shl (local.get $k) (i32.const 4)))
                (local.set $b (i32.shl (i32.add (local.get $k) (local.get $half)) (i32.const 4)))
                (local.set $t_re (f64.sub (f64.mul (f64.load (local.get $b)) (local.get $w_re)) (f64.mul
                  (f64.load offset=8 (local.get $b)) (local.get $w_im))))
                (local.set $t_im (f64.add (f64.mul (f64.load (local.get $b)) (local.get $w_im)) (f64.mul
                  (f64.load offset=8 (local.get $b)) (local.get $w_re))))
                (f64.store (local.get $b) (f64.mul (f64.sub (f64.load (local.get $a)) (local.get $t_re))
                  (f64.const 0.5)))
                (f64.store offset=8 (local.get $b) (f64.mul (f64.sub (f64.load offset=8 (local.get $a))
                  (local.get $t_im)) (f64.const 0.5)))
                (f64.store (local.get $a) (f64.mul (f64.add (f64.load (local.get $a)) (local.get $t_re))
                  (f64.const 0.5)))
                (f64.store offset=8 (local.get $a) (f64.mul (f64.add (f64.load offset=8 (local.get $a))
                  (local.get $t_im)) (f64.const 0.5)))
                (local.set $next_re (f64.sub (f64.mul (local.get $w_re) (local.get $angle_re)) (f64.mul
                  (local.get $w_im) (local.get $angle_im))))
                (local.set $w_im (f64.add (f64.mul (local.get $w_re) (local.get $angle_im)) (f64.mul
                  (local.get $w_im) (local.get $angle_re))))
                (local.set $w_re (local.get $next_re))
                (local.set $k (i32.add (local.get $k) (i32.const 1)))
                (br_if $loop7 (i32.lt_s (local.get $k) (i32.add (local.get $base) (local.get $half))))))
            (local.set $base (i32.add (local.get $base) (local.get $length)))
            (br_if $loop4 (i32.lt_s (local.get $base) (i32.const 256)))))
        (local.set $length (i32.shl (local.get $length) (i32.const 1)))
        (local.set $angle_im (f64.sub (f64.const 0.0) (f64.sqrt (f64.mul (f64.sub (f64.const 1.0) (local.get $angle_re))
          (f64.const 0.5)))))
        (local.set $angle_re (f64.sqrt (f64.mul (f64.add (f64.const 1.0) (local.get $angle_re)) (f64.const 0.5))))
        (br_if $loop1 (i32.le_s (local.get $length) (i32.const 256))))))
  (func (export "run") (param $n i32) (result f64)
    (local $sum f64) (local $i i32) (local $r i32)
    (local.set $sum (f64.const 0.0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (f64.store (i32.shl (local.get $i) (i32.const 4)) (f64.sub (f64.convert_i32_s (i32.rem_u (i32.mul
        (local.get $i) (i32.const 31)) (i32.const 17))) (f64.const 8.0)))
      (f64.store offset=8 (i32.shl (local.get $i) (i32.const 4)) (f64.convert_i32_s (i32.rem_u (i32.mul
        (local.get $i) (i32.const 13)) (i32.const 7))))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
    (local.set $r (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop4
        (call $transform)
        (local.set $i (i32.const 0))
        (loop $loop7
          (f64.store (i32.shl (local.get $i) (i32.const 3)) (f64.add (f64.mul (f64.load (i32.shl (local.get $i)
            (i32.const 3))) (f64.const 4.0)) (f64.convert_i32_s (i32.and (local.get $i) (i32.const 3)))))
          (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 512))))
        (br_if $loop4 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop10
      (local.set $sum (f64.add (f64.mul (local.get $sum) (f64.const 0.5)) (f64.load (i32.shl (local.get $i)
        (i32.const 3)))))
      (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 512))))
    (local.get $sum)))
