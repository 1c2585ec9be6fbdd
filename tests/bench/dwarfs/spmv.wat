;; Sparse algebra: n products of a matrix in rows (1024 rows, up to 12 entries each) and a vector. run(n) = a
;; checksum.
(module
  (memory 4)
  (func (export "run") (param $n i32) (result f64)
    (local $sum f64) (local $at i32) (local $x i32) (local $i i32) (local $m i32) (local $k i32) (local $r i32)
      (local $total f64) (local $end i32)
    (local.set $sum (f64.const 0.0))
    (local.set $at (i32.const 0))
    (local.set $x (i32.const 7))
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $at))
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
      (local.set $m (i32.add (i32.and (i32.shr_u (local.get $x) (i32.const 16)) (i32.const 7)) (i32.const 4)))
      (local.set $k (i32.const 0))
      (block $out5
        (br_if $out5 (i32.ge_s (local.get $k) (local.get $m)))
        (loop $loop4
          (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
          (i32.store offset=8192 (i32.shl (local.get $at) (i32.const 2)) (i32.and (i32.shr_u (local.get $x)
            (i32.const 14)) (i32.const 1023)))
          (f64.store offset=65536 (i32.shl (local.get $at) (i32.const 3)) (f64.div (f64.const 1.0)
            (f64.convert_i32_s (i32.add (local.get $m) (local.get $k)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $loop4 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $m)))))
      (f64.store offset=196608 (i32.shl (local.get $i) (i32.const 3)) (f64.convert_i32_s (i32.and (local.get $i)
        (i32.const 15))))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (i32.store (i32.const 4096) (local.get $at))
    (local.set $r (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop7
        (local.set $i (i32.const 0))
        (loop $loop10
          (local.set $total (f64.const 0.0))
          (local.set $k (i32.load (i32.shl (local.get $i) (i32.const 2))))
          (local.set $end (i32.load offset=4 (i32.shl (local.get $i) (i32.const 2))))
          (block $out14
            (br_if $out14 (i32.eqz (i32.lt_s (local.get $k) (local.get $end))))
            (loop $loop13
              (local.set $total (f64.add (local.get $total) (f64.mul (f64.load offset=65536 (i32.shl
                (local.get $k) (i32.const 3))) (f64.load offset=196608 (i32.shl (i32.load offset=8192 (i32.shl
                (local.get $k) (i32.const 2))) (i32.const 3))))))
              (local.set $k (i32.add (local.get $k) (i32.const 1)))
              (br_if $loop13 (i32.lt_s (local.get $k) (local.get $end)))))
          (f64.store offset=204800 (i32.shl (local.get $i) (i32.const 3)) (f64.mul (local.get $total)
            (f64.const 0.75)))
          (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
        (local.set $i (i32.const 0))
        (loop $loop16
          (f64.store offset=196608 (i32.shl (local.get $i) (i32.const 3)) (f64.add (f64.load offset=204800
            (i32.shl (local.get $i) (i32.const 3))) (f64.const 1.0)))
          (br_if $loop16 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
        (br_if $loop7 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop19
      (local.set $sum (f64.add (local.get $sum) (f64.load offset=204800 (i32.shl (local.get $i) (i32.const 3)))))
      (br_if $loop19 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (local.get $sum)))
