;; Graphs: n unions of random pairs among 16384 things, with halving of paths. run(n) = the number of sets, and
;; a checksum.
(module
  (memory 1)
  (func $find (param $at i32) (result i32)
    (block $out2
      (br_if $out2 (i32.eqz (i32.ne (i32.load (i32.shl (local.get $at) (i32.const 2))) (local.get $at))))
      (loop $loop1
        (i32.store (i32.shl (local.get $at) (i32.const 2)) (i32.load (i32.shl (i32.load (i32.shl (local.get $at)
          (i32.const 2))) (i32.const 2))))
        (local.set $at (i32.load (i32.shl (local.get $at) (i32.const 2))))
        (br_if $loop1 (i32.ne (i32.load (i32.shl (local.get $at) (i32.const 2))) (local.get $at)))))
    (local.get $at))
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sets i32) (local $sum i32) (local $i i32) (local $a i32) (local $b i32)
    (local.set $x (i32.const 23))
    (local.set $sets (i32.const 16384))
    (local.set $sum (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $i))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16384))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (local.set $a (call $find (i32.shr_u (local.get $x) (i32.const 18))))
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (local.set $b (call $find (i32.shr_u (local.get $x) (i32.const 18))))
        (if (i32.ne (local.get $a) (local.get $b))
          (then
            (local.set $sets (i32.sub (local.get $sets) (i32.const 1)))
            (if (i32.lt_s (local.get $a) (local.get $b))
              (then
                (i32.store (i32.shl (local.get $b) (i32.const 2)) (local.get $a)))
              (else
                (i32.store (i32.shl (local.get $a) (i32.const 2)) (local.get $b))))))
        (local.set $sum (i32.xor (i32.rotl (local.get $sum) (i32.const 3)) (local.get $a)))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (i32.add (local.get $sum) (local.get $sets))))
