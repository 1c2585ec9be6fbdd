;; A product of double matrices by rows: the scalar factor is read again for each element. run(n) = a checksum,
;; n up to 256.
(module
  (memory 24)
  (func (export "run") (param $n i32) (result f64)
    (local $row i32) (local $sum f64) (local $i i32) (local $k i32) (local $j i32)
    (local.set $row (i32.shl (local.get $n) (i32.const 3)))
    (local.set $sum (f64.const 0.0))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (i32.mul (local.get $n) (local.get $n))))
      (loop $loop1
        (f64.store (i32.shl (local.get $i) (i32.const 3)) (f64.convert_i32_s (i32.rem_u (i32.mul (local.get $i)
          (i32.const 7)) (i32.const 13))))
        (f64.store offset=524288 (i32.shl (local.get $i) (i32.const 3)) (f64.sub (f64.convert_i32_s
          (i32.rem_u (i32.mul (local.get $i) (i32.const 5)) (i32.const 11))) (f64.const 5.0)))
        (f64.store offset=1048576 (i32.shl (local.get $i) (i32.const 3)) (f64.const 0.0))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.mul (local.get $n)
          (local.get $n))))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (local.set $k (i32.const 0))
        (block $out8
          (br_if $out8 (i32.ge_s (local.get $k) (local.get $n)))
          (loop $loop7
            (local.set $j (i32.const 0))
            (block $out11
              (br_if $out11 (i32.ge_s (local.get $j) (local.get $n)))
              (loop $loop10
                (f64.store offset=1048576 (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl
                  (local.get $j) (i32.const 3))) (f64.add (f64.load offset=1048576 (i32.add (i32.mul
                  (local.get $i) (local.get $row)) (i32.shl (local.get $j) (i32.const 3)))) (f64.mul (f64.load
                  (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl (local.get $k) (i32.const 3))))
                  (f64.load offset=524288 (i32.add (i32.mul (local.get $k) (local.get $row)) (i32.shl
                  (local.get $j) (i32.const 3)))))))
                (br_if $loop10 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))))
            (br_if $loop7 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n)))))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (block $out14
      (br_if $out14 (i32.ge_s (local.get $i) (i32.mul (local.get $n) (local.get $n))))
      (loop $loop13
        (local.set $sum (f64.add (f64.mul (local.get $sum) (f64.const 0.5)) (f64.load offset=1048576
          (i32.shl (local.get $i) (i32.const 3)))))
        (br_if $loop13 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.mul (local.get $n)
          (local.get $n))))))
    (local.get $sum)))
