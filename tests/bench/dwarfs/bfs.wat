;; Graphs: n breadth-first walks over 4096 nodes with four edges each, queue and distances in memory. run(n) =
;; a checksum.
(module
  (memory 2)
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sum i32) (local $i i32) (local $r i32) (local $head i32) (local $tail i32) (local $start i32)
      (local $node i32) (local $far i32) (local $k i32) (local $other i32)
    (local.set $x (i32.const 17))
    (local.set $sum (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.and (i32.shr_u (local.get $x) (i32.const 12))
        (i32.const 4095)))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16384))))
    (local.set $r (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop4
        (local.set $i (i32.const 0))
        (loop $loop7
          (i32.store offset=98304 (i32.shl (local.get $i) (i32.const 2)) (i32.const -1))
          (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
        (local.set $head (i32.const 0))
        (local.set $tail (i32.const 1))
        (local.set $start (i32.and (i32.mul (local.get $r) (i32.const 97)) (i32.const 4095)))
        (i32.store offset=65536 (i32.const 0) (local.get $start))
        (i32.store offset=98304 (i32.shl (local.get $start) (i32.const 2)) (i32.const 0))
        (block $out11
          (br_if $out11 (i32.eqz (i32.lt_s (local.get $head) (local.get $tail))))
          (loop $loop10
            (local.set $node (i32.load offset=65536 (i32.shl (local.get $head) (i32.const 2))))
            (local.set $head (i32.add (local.get $head) (i32.const 1)))
            (local.set $far (i32.add (i32.load offset=98304 (i32.shl (local.get $node) (i32.const 2)))
              (i32.const 1)))
            (local.set $k (i32.const 0))
            (loop $loop13
              (local.set $other (i32.load (i32.add (i32.shl (local.get $node) (i32.const 4)) (i32.shl
                (local.get $k) (i32.const 2)))))
              (if (i32.lt_s (i32.load offset=98304 (i32.shl (local.get $other) (i32.const 2))) (i32.const 0))
                (then
                  (i32.store offset=98304 (i32.shl (local.get $other) (i32.const 2)) (local.get $far))
                  (i32.store offset=65536 (i32.shl (local.get $tail) (i32.const 2)) (local.get $other))
                  (local.set $tail (i32.add (local.get $tail) (i32.const 1)))))
              (br_if $loop13 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 4))))
            (local.set $sum (i32.add (local.get $sum) (local.get $far)))
            (br_if $loop10 (i32.lt_s (local.get $head) (local.get $tail)))))
        (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 7)) (local.get $tail)))
        (br_if $loop4 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.get $sum)))
