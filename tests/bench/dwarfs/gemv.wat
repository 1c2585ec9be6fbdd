;; Dense algebra in single precision: n products of a 64 x 64 matrix and a vector, four sums at a time. run(n)
;; = a checksum.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result f64)
    (local $sum f64) (local $i i32) (local $k i32) (local $a i32) (local $s0 f32) (local $s1 f32) (local $s2 f32)
      (local $s3 f32) (local $j i32)
    (local.set $sum (f64.const 0.0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (f32.store (i32.shl (local.get $i) (i32.const 2)) (f32.demote_f64 (f64.mul (f64.convert_i32_s
        (i32.rem_u (i32.mul (local.get $i) (i32.const 37)) (i32.const 64))) (f64.const 0.0005))))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
    (local.set $i (i32.const 0))
    (loop $loop4
      (f32.store offset=16384 (i32.shl (local.get $i) (i32.const 2)) (f32.convert_i32_s (i32.add (local.get $i)
        (i32.const 1))))
      (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
    (local.set $k (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $k) (local.get $n)))
      (loop $loop7
        (local.set $i (i32.const 0))
        (loop $loop10
          (local.set $a (i32.shl (local.get $i) (i32.const 8)))
          (local.set $s0 (f32.convert_i32_s (i32.const 0)))
          (local.set $s1 (f32.convert_i32_s (i32.const 0)))
          (local.set $s2 (f32.convert_i32_s (i32.const 0)))
          (local.set $s3 (f32.convert_i32_s (i32.const 0)))
          (local.set $j (i32.const 0))
          (loop $loop13
            (local.set $s0 (f32.add (local.get $s0) (f32.mul (f32.load (i32.add (local.get $a) (local.get $j)))
              (f32.load offset=16384 (local.get $j)))))
            (local.set $s1 (f32.add (local.get $s1) (f32.mul (f32.load offset=4 (i32.add (local.get $a)
              (local.get $j))) (f32.load offset=16388 (local.get $j)))))
            (local.set $s2 (f32.add (local.get $s2) (f32.mul (f32.load offset=8 (i32.add (local.get $a)
              (local.get $j))) (f32.load offset=16392 (local.get $j)))))
            (local.set $s3 (f32.add (local.get $s3) (f32.mul (f32.load offset=12 (i32.add (local.get $a)
              (local.get $j))) (f32.load offset=16396 (local.get $j)))))
            (br_if $loop13 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 16))) (i32.const 256))))
          (f32.store offset=16640 (i32.shl (local.get $i) (i32.const 2)) (f32.add (f32.add (local.get $s0)
            (local.get $s1)) (f32.add (local.get $s2) (local.get $s3))))
          (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
        (local.set $i (i32.const 0))
        (loop $loop16
          (f32.store offset=16384 (i32.shl (local.get $i) (i32.const 2)) (f32.add (f32.load offset=16640
            (i32.shl (local.get $i) (i32.const 2))) (f32.convert_i32_s (i32.const 1))))
          (br_if $loop16 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
        (br_if $loop7 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop19
      (local.set $sum (f64.add (local.get $sum) (f64.promote_f32 (f32.load offset=16640 (i32.shl (local.get $i)
        (i32.const 2))))))
      (br_if $loop19 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
    (local.get $sum)))
