;; A segmented sieve: primes below n, counted in segments of 256 bytes, so that inner loops make few rounds. n
;; below 4000000.
(module
  (memory 2)
  (func (export "run") (param $n i32) (result i32)
    (local $known i32) (local $count i32) (local $i i32) (local $j i32) (local $prime i32) (local $p i32)
      (local $low i32) (local $high i32) (local $k i32) (local $m i32)
    (local.set $known (i32.const 0))
    (local.set $count (i32.const 0))
    (local.set $i (i32.const 2))
    (loop $loop1
      (local.set $j (i32.const 0))
      (local.set $prime (i32.const 1))
      (block $out5
        (br_if $out5 (i32.eqz (i32.lt_s (local.get $j) (local.get $known))))
        (loop $loop4
          (local.set $p (i32.load16_u offset=4096 (i32.shl (local.get $j) (i32.const 1))))
          (if (i32.gt_s (i32.mul (local.get $p) (local.get $p)) (local.get $i))
            (then
              (br $out5)))
          (if (i32.eq (i32.rem_s (local.get $i) (local.get $p)) (i32.const 0))
            (then
              (local.set $prime (i32.const 0))
              (br $out5)))
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (br_if $loop4 (i32.lt_s (local.get $j) (local.get $known)))))
      (if (local.get $prime)
        (then
          (i32.store16 offset=4096 (i32.shl (local.get $known) (i32.const 1)) (local.get $i))
          (local.set $known (i32.add (local.get $known) (i32.const 1)))))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000))))
    (local.set $low (i32.const 2))
    (block $out8
      (br_if $out8 (i32.eqz (i32.lt_s (local.get $low) (local.get $n))))
      (loop $loop7
        (local.set $high (call $select_min (i32.add (local.get $low) (i32.const 256)) (local.get $n)))
        (local.set $i (i32.const 0))
        (loop $loop10
          (i64.store (local.get $i) (i64.const 0))
          (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 256))))
        (local.set $k (i32.const 0))
        (block $out14
          (br_if $out14 (i32.eqz (i32.lt_s (local.get $k) (local.get $known))))
          (loop $loop13
            (local.set $p (i32.load16_u offset=4096 (i32.shl (local.get $k) (i32.const 1))))
            (if (i32.ge_s (i32.mul (local.get $p) (local.get $p)) (local.get $high))
              (then
                (br $out14)))
            (local.set $m (i32.mul (i32.div_u (i32.sub (i32.add (local.get $low) (local.get $p)) (i32.const 1))
              (local.get $p)) (local.get $p)))
            (if (i32.lt_s (local.get $m) (i32.mul (local.get $p) (local.get $p)))
              (then
                (local.set $m (i32.mul (local.get $p) (local.get $p)))))
            (block $out17
              (br_if $out17 (i32.eqz (i32.lt_s (local.get $m) (local.get $high))))
              (loop $loop16
                (i32.store8 (i32.sub (local.get $m) (local.get $low)) (i32.const 1))
                (local.set $m (i32.add (local.get $m) (local.get $p)))
                (br_if $loop16 (i32.lt_s (local.get $m) (local.get $high)))))
            (local.set $k (i32.add (local.get $k) (i32.const 1)))
            (br_if $loop13 (i32.lt_s (local.get $k) (local.get $known)))))
        (local.set $i (i32.const 0))
        (block $out20
          (br_if $out20 (i32.eqz (i32.lt_s (local.get $i) (i32.sub (local.get $high) (local.get $low)))))
          (loop $loop19
            (local.set $count (i32.add (local.get $count) (i32.sub (i32.const 1) (i32.load8_u (local.get $i)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $loop19 (i32.lt_s (local.get $i) (i32.sub (local.get $high) (local.get $low))))))
        (local.set $low (i32.add (local.get $low) (i32.const 256)))
        (br_if $loop7 (i32.lt_s (local.get $low) (local.get $n)))))
    (local.get $count))
  (func $select_min (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_s (local.get $a) (local.get $b)))))
