;; Dense algebra: LU decomposition of an n x n matrix of doubles without pivots. run(n) = the product of scaled
;; pivots, n up to 256.
(module
  (memory 8)
  (func (export "run") (param $n i32) (result f64)
    (local $row i32) (local $det f64) (local $i i32) (local $j i32) (local $k i32) (local $pivot f64) (local $factor f64)
      (local $a i32) (local $b i32)
    (local.set $row (i32.shl (local.get $n) (i32.const 3)))
    (local.set $det (f64.const 1.0))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop1
        (local.set $j (i32.const 0))
        (block $out5
          (br_if $out5 (i32.ge_s (local.get $j) (local.get $n)))
          (loop $loop4
            (f64.store (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl (local.get $j) (i32.const 3)))
              (f64.add (f64.convert_i32_s (i32.rem_u (i32.add (i32.mul (local.get $i) (i32.const 7)) (i32.mul
              (local.get $j) (i32.const 13))) (i32.const 11))) (select (f64.mul (f64.convert_i32_s (local.get $n))
              (f64.const 12.0)) (f64.const 0.0) (i32.eq (local.get $i) (local.get $j)))))
            (br_if $loop4 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.set $k (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $k) (local.get $n)))
      (loop $loop7
        (local.set $pivot (f64.load (i32.add (i32.mul (local.get $k) (local.get $row)) (i32.shl (local.get $k)
          (i32.const 3)))))
        (local.set $det (f64.mul (local.get $det) (f64.div (local.get $pivot) (f64.mul (f64.convert_i32_s
          (local.get $n)) (f64.const 12.0)))))
        (local.set $i (i32.add (local.get $k) (i32.const 1)))
        (block $out11
          (br_if $out11 (i32.ge_s (local.get $i) (local.get $n)))
          (loop $loop10
            (local.set $factor (f64.div (f64.load (i32.add (i32.mul (local.get $i) (local.get $row))
              (i32.shl (local.get $k) (i32.const 3)))) (local.get $pivot)))
            (f64.store (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl (local.get $k) (i32.const 3)))
              (local.get $factor))
            (local.set $a (i32.mul (local.get $i) (local.get $row)))
            (local.set $b (i32.mul (local.get $k) (local.get $row)))
            (local.set $j (i32.add (local.get $k) (i32.const 1)))
            (block $out14
              (br_if $out14 (i32.ge_s (local.get $j) (local.get $n)))
              (loop $loop13
                (f64.store (i32.add (local.get $a) (i32.shl (local.get $j) (i32.const 3))) (f64.sub
                  (f64.load (i32.add (local.get $a) (i32.shl (local.get $j) (i32.const 3)))) (f64.mul
                  (local.get $factor) (f64.load (i32.add (local.get $b) (i32.shl (local.get $j) (i32.const 3)))))))
                (br_if $loop13 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))))
            (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
        (br_if $loop7 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n)))))
    (local.get $det)))
