;; As ../kernels/quicksort.wat, with a memory of 64-bit addresses: places are i64.
(module
  (memory i64 64)
  (func $sort (param $lo i64) (param $hi i64)
    (local $i i64) (local $j i64) (local $pivot i32) (local $a i32) (local $b i32)
    (if (i64.ge_s (local.get $lo) (local.get $hi)) (then (return)))
    (local.set $i (local.get $lo)) (local.set $j (local.get $hi))
    (local.set $pivot (i32.load (i64.and (i64.shr_u (i64.add (local.get $lo) (local.get $hi)) (i64.const 1)) (i64.const -4))))
    (block $split
      (loop $scan
        (loop $left
          (local.set $a (i32.load (local.get $i)))
          (if (i32.lt_u (local.get $a) (local.get $pivot))
            (then (local.set $i (i64.add (local.get $i) (i64.const 4))) (br $left))))
        (loop $right
          (local.set $b (i32.load (local.get $j)))
          (if (i32.gt_u (local.get $b) (local.get $pivot))
            (then (local.set $j (i64.sub (local.get $j) (i64.const 4))) (br $right))))
        (if (i64.le_s (local.get $i) (local.get $j))
          (then
            (i32.store (local.get $i) (local.get $b))
            (i32.store (local.get $j) (local.get $a))
            (local.set $i (i64.add (local.get $i) (i64.const 4)))
            (local.set $j (i64.sub (local.get $j) (i64.const 4)))))
        (br_if $scan (i64.le_s (local.get $i) (local.get $j)))))
    (call $sort (local.get $lo) (local.get $j))
    (call $sort (local.get $i) (local.get $hi)))
  (func (export "run") (param $size i32) (result i32)
    (local $i i64) (local $x i32) (local $sum i32) (local $n i64)
    (local.set $n (i64.extend_i32_u (local.get $size)))
    (local.set $x (i32.const 12345))
    (loop $fill
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store (i64.shl (local.get $i) (i64.const 2)) (local.get $x))
      (br_if $fill (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (call $sort (i64.const 0) (i64.shl (i64.sub (local.get $n) (i64.const 1)) (i64.const 2)))
    (local.set $i (i64.const 0))
    (loop $check
      (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 5)) (i32.load (i64.shl (local.get $i) (i64.const 2)))))
      (br_if $check (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.get $sum)))
