;; Sorting: merges of ever longer runs of n pseudo-random doubles, from one array to another. run(n) = a
;; checksum, n up to 100000.
(module
  (memory 26)
  (func $merge (param $src i32) (param $dst i32) (param $low i32) (param $mid i32) (param $high i32)
    (local $i i32) (local $j i32) (local $k i32) (local $a f64) (local $b f64)
    (local.set $i (local.get $low))
    (local.set $j (local.get $mid))
    (local.set $k (local.get $low))
    (block $out2
      (br_if $out2 (i32.eqz (if (result i32) (i32.lt_s (local.get $i) (local.get $mid)) (then (i32.lt_s
        (local.get $j) (local.get $high))) (else (i32.const 0)))))
      (loop $loop1
        (local.set $a (f64.load (i32.add (local.get $src) (i32.shl (local.get $i) (i32.const 3)))))
        (local.set $b (f64.load (i32.add (local.get $src) (i32.shl (local.get $j) (i32.const 3)))))
        (if (f64.le (local.get $a) (local.get $b))
          (then
            (f64.store (i32.add (local.get $dst) (i32.shl (local.get $k) (i32.const 3))) (local.get $a))
            (local.set $i (i32.add (local.get $i) (i32.const 1))))
          (else
            (f64.store (i32.add (local.get $dst) (i32.shl (local.get $k) (i32.const 3))) (local.get $b))
            (local.set $j (i32.add (local.get $j) (i32.const 1)))))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $loop1 (if (result i32) (i32.lt_s (local.get $i) (local.get $mid)) (then (i32.lt_s (local.get $j)
          (local.get $high))) (else (i32.const 0))))))
    (block $out5
      (br_if $out5 (i32.eqz (i32.lt_s (local.get $i) (local.get $mid))))
      (loop $loop4
        (f64.store (i32.add (local.get $dst) (i32.shl (local.get $k) (i32.const 3))) (f64.load (i32.add
          (local.get $src) (i32.shl (local.get $i) (i32.const 3)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $loop4 (i32.lt_s (local.get $i) (local.get $mid)))))
    (block $out8
      (br_if $out8 (i32.eqz (i32.lt_s (local.get $j) (local.get $high))))
      (loop $loop7
        (f64.store (i32.add (local.get $dst) (i32.shl (local.get $k) (i32.const 3))) (f64.load (i32.add
          (local.get $src) (i32.shl (local.get $j) (i32.const 3)))))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $loop7 (i32.lt_s (local.get $j) (local.get $high))))))
  (func $least (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_s (local.get $a) (local.get $b))))
  (func (export "run") (param $n i32) (result f64)
    (local $x i32) (local $sum f64) (local $src i32) (local $dst i32) (local $i i32) (local $width i32)
      (local $low i32) (local $at i32)
    (local.set $x (i32.const 13))
    (local.set $sum (f64.const 0.0))
    (local.set $src (i32.const 0))
    (local.set $dst (i32.const 819200))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop1
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (f64.store (i32.shl (local.get $i) (i32.const 3)) (f64.mul (f64.convert_i32_s (i32.shr_u (local.get $x)
          (i32.const 8))) (f64.const 0.25)))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.set $width (i32.const 1))
    (block $out5
      (br_if $out5 (i32.eqz (i32.lt_s (local.get $width) (local.get $n))))
      (loop $loop4
        (local.set $low (i32.const 0))
        (block $out8
          (br_if $out8 (i32.eqz (i32.lt_s (local.get $low) (local.get $n))))
          (loop $loop7
            (call $merge (local.get $src) (local.get $dst) (local.get $low) (call $least (i32.add (local.get $low)
              (local.get $width)) (local.get $n)) (call $least (i32.add (local.get $low) (i32.mul (local.get $width)
              (i32.const 2))) (local.get $n)))
            (local.set $low (i32.add (local.get $low) (i32.mul (local.get $width) (i32.const 2))))
            (br_if $loop7 (i32.lt_s (local.get $low) (local.get $n)))))
        (local.set $at (local.get $src))
        (local.set $src (local.get $dst))
        (local.set $dst (local.get $at))
        (local.set $width (i32.mul (local.get $width) (i32.const 2)))
        (br_if $loop4 (i32.lt_s (local.get $width) (local.get $n)))))
    (local.set $i (i32.const 0))
    (block $out11
      (br_if $out11 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop10
        (local.set $sum (f64.add (f64.mul (local.get $sum) (f64.const 0.75)) (f64.load (i32.add (local.get $src)
          (i32.shl (local.get $i) (i32.const 3))))))
        (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.get $sum)))
