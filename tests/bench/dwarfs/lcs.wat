;; Dynamic programming: the longest common subsequence of two strings of n bytes, two rows of lengths. run(n),
;; n up to 4096.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $i i32) (local $diagonal i32) (local $left i32) (local $c i32) (local $j i32)
      (local $up i32)
    (local.set $x (i32.const 5))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop1
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store8 (local.get $i) (i32.and (i32.shr_u (local.get $x) (i32.const 24)) (i32.const 3)))
        (i32.store8 offset=4096 (local.get $i) (i32.and (i32.shr_u (local.get $x) (i32.const 20)) (i32.const 3)))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (i32.add (local.get $n) (i32.const 1))))
      (loop $loop4
        (i32.store offset=8192 (i32.shl (local.get $i) (i32.const 2)) (i32.const 0))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.add (local.get $n)
          (i32.const 1))))))
    (local.set $i (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop7
        (local.set $diagonal (i32.const 0))
        (local.set $left (i32.const 0))
        (local.set $c (i32.load8_u (local.get $i)))
        (local.set $j (i32.const 0))
        (block $out11
          (br_if $out11 (i32.ge_s (local.get $j) (local.get $n)))
          (loop $loop10
            (local.set $up (i32.load offset=8192 (i32.add (i32.shl (local.get $j) (i32.const 2)) (i32.const 4))))
            (if (i32.eq (local.get $c) (i32.load8_u offset=4096 (local.get $j)))
              (then
                (local.set $left (i32.add (local.get $diagonal) (i32.const 1))))
              (else
                (local.set $left (select (local.get $left) (local.get $up) (i32.gt_s (local.get $left)
                  (local.get $up))))))
            (i32.store offset=8192 (i32.add (i32.shl (local.get $j) (i32.const 2)) (i32.const 4)) (local.get $left))
            (local.set $diagonal (local.get $up))
            (br_if $loop10 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))))
        (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (i32.load offset=8192 (i32.shl (local.get $n) (i32.const 2)))))
