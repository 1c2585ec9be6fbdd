;; Sorting: heapsort of n pseudo-random i32. run(n) = a checksum of the sorted array, n up to 100000.
(module
  (memory 8)
  (func $sift (param $at i32) (param $end i32)
    (local $value i32) (local $child i32)
    (local.set $value (i32.load (i32.shl (local.get $at) (i32.const 2))))
    (local.set $child (i32.add (i32.mul (local.get $at) (i32.const 2)) (i32.const 1)))
    (block $out2
      (br_if $out2 (i32.eqz (i32.lt_s (local.get $child) (local.get $end))))
      (loop $loop1
        (if (if (result i32) (i32.lt_s (i32.add (local.get $child) (i32.const 1)) (local.get $end)) (then
          (i32.lt_s (i32.load (i32.shl (local.get $child) (i32.const 2))) (i32.load offset=4 (i32.shl
          (local.get $child) (i32.const 2))))) (else (i32.const 0)))
          (then
            (local.set $child (i32.add (local.get $child) (i32.const 1)))))
        (if (i32.ge_s (local.get $value) (i32.load (i32.shl (local.get $child) (i32.const 2))))
          (then
            (br $out2)))
        (i32.store (i32.shl (local.get $at) (i32.const 2)) (i32.load (i32.shl (local.get $child) (i32.const 2))))
        (local.set $at (local.get $child))
        (local.set $child (i32.add (i32.mul (local.get $at) (i32.const 2)) (i32.const 1)))
        (br_if $loop1 (i32.lt_s (local.get $child) (local.get $end)))))
    (i32.store (i32.shl (local.get $at) (i32.const 2)) (local.get $value)))
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sum i32) (local $i i32) (local $end i32)
    (local.set $x (i32.const 77))
    (local.set $sum (i32.const 0))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop1
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $x))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.shr_u (local.get $n) (i32.const 1)))
    (block $out5
      (br_if $out5 (i32.eqz (i32.gt_s (local.get $i) (i32.const 0))))
      (loop $loop4
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (call $sift (local.get $i) (local.get $n))
        (br_if $loop4 (i32.gt_s (local.get $i) (i32.const 0)))))
    (local.set $end (i32.sub (local.get $n) (i32.const 1)))
    (block $out8
      (br_if $out8 (i32.eqz (i32.gt_s (local.get $end) (i32.const 0))))
      (loop $loop7
        (local.set $x (i32.load (i32.const 0)))
        (i32.store (i32.const 0) (i32.load (i32.shl (local.get $end) (i32.const 2))))
        (i32.store (i32.shl (local.get $end) (i32.const 2)) (local.get $x))
        (call $sift (i32.const 0) (local.get $end))
        (local.set $end (i32.sub (local.get $end) (i32.const 1)))
        (br_if $loop7 (i32.gt_s (local.get $end) (i32.const 0)))))
    (local.set $i (i32.const 0))
    (block $out11
      (br_if $out11 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop10
        (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 5)) (i32.load (i32.shl (local.get $i)
          (i32.const 2)))))
        (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.get $sum)))
