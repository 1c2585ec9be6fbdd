;; Sorting: four passes of a radix sort by bytes over n pseudo-random i32. run(n) = a checksum, n up to 200000.
(module
  (memory 26)
  (func $scatter (param $src i32) (param $dst i32) (param $shift i32) (param $n i32)
    (local $i i32) (local $digit i32) (local $at i32) (local $count i32) (local $x i32)
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store offset=1638400 (i32.shl (local.get $i) (i32.const 2)) (i32.const 0))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (local.set $digit (i32.and (i32.shr_u (i32.load (i32.add (local.get $src) (i32.shl (local.get $i)
          (i32.const 2)))) (local.get $shift)) (i32.const 255)))
        (i32.store offset=1638400 (i32.shl (local.get $digit) (i32.const 2)) (i32.add (i32.load offset=1638400
          (i32.shl (local.get $digit) (i32.const 2))) (i32.const 1)))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.set $at (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop7
      (local.set $count (i32.load offset=1638400 (i32.shl (local.get $i) (i32.const 2))))
      (i32.store offset=1638400 (i32.shl (local.get $i) (i32.const 2)) (local.get $at))
      (local.set $at (i32.add (local.get $at) (local.get $count)))
      (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
    (local.set $i (i32.const 0))
    (block $out11
      (br_if $out11 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop10
        (local.set $x (i32.load (i32.add (local.get $src) (i32.shl (local.get $i) (i32.const 2)))))
        (local.set $digit (i32.and (i32.shr_u (local.get $x) (local.get $shift)) (i32.const 255)))
        (local.set $at (i32.load offset=1638400 (i32.shl (local.get $digit) (i32.const 2))))
        (i32.store offset=1638400 (i32.shl (local.get $digit) (i32.const 2)) (i32.add (local.get $at)
          (i32.const 1)))
        (i32.store (i32.add (local.get $dst) (i32.shl (local.get $at) (i32.const 2))) (local.get $x))
        (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))))
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sum i32) (local $i i32)
    (local.set $x (i32.const 41))
    (local.set $sum (i32.const 0))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop1
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $x))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (call $scatter (i32.const 0) (i32.const 819200) (i32.const 0) (local.get $n))
    (call $scatter (i32.const 819200) (i32.const 0) (i32.const 8) (local.get $n))
    (call $scatter (i32.const 0) (i32.const 819200) (i32.const 16) (local.get $n))
    (call $scatter (i32.const 819200) (i32.const 0) (i32.const 24) (local.get $n))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 5)) (i32.load (i32.shl (local.get $i)
          (i32.const 2)))))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.get $sum)))
