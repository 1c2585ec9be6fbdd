;; Graphs: all shortest ways of a graph of n nodes, after Floyd and Warshall. run(n) = a checksum of lengths, n
;; up to 400.
(module
  (memory 10)
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sum i32) (local $row i32) (local $i i32) (local $k i32) (local $first i32) (local $j i32)
      (local $way i32)
    (local.set $x (i32.const 3))
    (local.set $sum (i32.const 0))
    (local.set $row (i32.shl (local.get $n) (i32.const 2)))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (i32.mul (local.get $n) (local.get $n))))
      (loop $loop1
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store (i32.shl (local.get $i) (i32.const 2)) (select (i32.add (i32.and (i32.shr_u (local.get $x)
          (i32.const 16)) (i32.const 1023)) (i32.const 1)) (i32.const 100000) (i32.eq (i32.shr_u (local.get $x)
          (i32.const 29)) (i32.const 0))))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.mul (local.get $n)
          (local.get $n))))))
    (local.set $k (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $k) (local.get $n)))
      (loop $loop4
        (local.set $i (i32.const 0))
        (block $out8
          (br_if $out8 (i32.ge_s (local.get $i) (local.get $n)))
          (loop $loop7
            (local.set $first (i32.load (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl
              (local.get $k) (i32.const 2)))))
            (local.set $j (i32.const 0))
            (block $out11
              (br_if $out11 (i32.ge_s (local.get $j) (local.get $n)))
              (loop $loop10
                (local.set $way (i32.add (local.get $first) (i32.load (i32.add (i32.mul (local.get $k)
                  (local.get $row)) (i32.shl (local.get $j) (i32.const 2))))))
                (if (i32.lt_s (local.get $way) (i32.load (i32.add (i32.mul (local.get $i) (local.get $row))
                  (i32.shl (local.get $j) (i32.const 2)))))
                  (then
                    (i32.store (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl (local.get $j)
                      (i32.const 2))) (local.get $way))))
                (br_if $loop10 (i32.lt_s (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))))
            (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
        (br_if $loop4 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (block $out14
      (br_if $out14 (i32.ge_s (local.get $i) (i32.mul (local.get $n) (local.get $n))))
      (loop $loop13
        (local.set $sum (i32.xor (i32.rotl (local.get $sum) (i32.const 1)) (i32.load (i32.shl (local.get $i)
          (i32.const 2)))))
        (br_if $loop13 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.mul (local.get $n)
          (local.get $n))))))
    (local.get $sum)))
