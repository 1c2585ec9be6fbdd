;; Big integers: n products of numbers of 32 words of 32 bits, each word times each. run(n) = a hash of the
;; last product.
(module
  (memory 1)
  (func $multiply
    (local $i i32) (local $carry i64) (local $a i64) (local $j i32)
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store offset=256 (i32.shl (local.get $i) (i32.const 2)) (i32.const 0))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
    (local.set $i (i32.const 0))
    (loop $loop4
      (local.set $carry (i64.const 0))
      (local.set $a (i64.load32_u (i32.shl (local.get $i) (i32.const 2))))
      (local.set $j (i32.const 0))
      (loop $loop7
        (local.set $carry (i64.add (i64.add (local.get $carry) (i64.mul (local.get $a) (i64.load32_u offset=128
          (i32.shl (local.get $j) (i32.const 2))))) (i64.load32_u offset=256 (i32.shl (i32.add (local.get $i)
          (local.get $j)) (i32.const 2)))))
        (i64.store32 offset=256 (i32.shl (i32.add (local.get $i) (local.get $j)) (i32.const 2)) (local.get $carry))
        (local.set $carry (i64.shr_u (local.get $carry) (i64.const 32)))
        (br_if $loop7 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 32))))
      (i64.store32 offset=256 (i32.add (i32.shl (local.get $i) (i32.const 2)) (i32.const 128)) (local.get $carry))
      (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 32)))))
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sum i32) (local $i i32) (local $r i32)
    (local.set $x (i32.const 43))
    (local.set $sum (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $x))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
    (local.set $r (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop4
        (call $multiply)
        (local.set $i (i32.const 0))
        (loop $loop7
          (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.or (i32.load offset=320 (i32.shl (local.get $i)
            (i32.const 2))) (i32.const 1)))
          (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 32))))
        (br_if $loop4 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop10
      (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 5)) (i32.load offset=256 (i32.shl
        (local.get $i) (i32.const 2)))))
      (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
    (local.get $sum)))
