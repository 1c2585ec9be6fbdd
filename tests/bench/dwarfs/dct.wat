;; Codecs: n transforms of 8 x 8 integers, rows and columns, in fixed point as picture codecs do. run(n) = a
;; checksum.
(module
  (memory 1)
  (func $turn (param $at i32) (param $step i32)
    (local $a0 i32) (local $a7 i32) (local $a1 i32) (local $a6 i32) (local $a2 i32) (local $a5 i32) (local $a3 i32)
      (local $a4 i32)
    (local.set $a0 (i32.add (i32.load (local.get $at)) (i32.load (i32.add (local.get $at) (i32.mul
      (local.get $step) (i32.const 7))))))
    (local.set $a7 (i32.sub (i32.load (local.get $at)) (i32.load (i32.add (local.get $at) (i32.mul
      (local.get $step) (i32.const 7))))))
    (local.set $a1 (i32.add (i32.load (i32.add (local.get $at) (local.get $step))) (i32.load (i32.add
      (local.get $at) (i32.mul (local.get $step) (i32.const 6))))))
    (local.set $a6 (i32.sub (i32.load (i32.add (local.get $at) (local.get $step))) (i32.load (i32.add
      (local.get $at) (i32.mul (local.get $step) (i32.const 6))))))
    (local.set $a2 (i32.add (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 2))))
      (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 5))))))
    (local.set $a5 (i32.sub (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 2))))
      (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 5))))))
    (local.set $a3 (i32.add (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 3))))
      (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 4))))))
    (local.set $a4 (i32.sub (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 3))))
      (i32.load (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 4))))))
    (i32.store (local.get $at) (i32.add (i32.add (i32.add (local.get $a0) (local.get $a1)) (local.get $a2))
      (local.get $a3)))
    (i32.store (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 4))) (i32.add (i32.sub
      (i32.sub (local.get $a0) (local.get $a1)) (local.get $a2)) (local.get $a3)))
    (i32.store (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 2))) (i32.shr_s (i32.add
      (i32.mul (i32.sub (local.get $a0) (local.get $a3)) (i32.const 10703)) (i32.mul (i32.sub (local.get $a1)
      (local.get $a2)) (i32.const 4433))) (i32.const 13)))
    (i32.store (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 6))) (i32.shr_s (i32.sub
      (i32.mul (i32.sub (local.get $a0) (local.get $a3)) (i32.const 4433)) (i32.mul (i32.sub (local.get $a1)
      (local.get $a2)) (i32.const 10703))) (i32.const 13)))
    (i32.store (i32.add (local.get $at) (local.get $step)) (i32.shr_s (i32.add (i32.add (i32.add (i32.mul
      (local.get $a7) (i32.const 11363)) (i32.mul (local.get $a6) (i32.const 9633))) (i32.mul (local.get $a5)
      (i32.const 6437))) (i32.mul (local.get $a4) (i32.const 2260))) (i32.const 13)))
    (i32.store (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 3))) (i32.shr_s (i32.sub
      (i32.sub (i32.sub (i32.mul (local.get $a7) (i32.const 9633)) (i32.mul (local.get $a6) (i32.const 2260)))
      (i32.mul (local.get $a5) (i32.const 11363))) (i32.mul (local.get $a4) (i32.const 6437))) (i32.const 13)))
    (i32.store (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 5))) (i32.shr_s (i32.add
      (i32.add (i32.sub (i32.mul (local.get $a7) (i32.const 6437)) (i32.mul (local.get $a6) (i32.const 11363)))
      (i32.mul (local.get $a5) (i32.const 2260))) (i32.mul (local.get $a4) (i32.const 9633))) (i32.const 13)))
    (i32.store (i32.add (local.get $at) (i32.mul (local.get $step) (i32.const 7))) (i32.shr_s (i32.sub
      (i32.add (i32.sub (i32.mul (local.get $a7) (i32.const 2260)) (i32.mul (local.get $a6) (i32.const 6437)))
      (i32.mul (local.get $a5) (i32.const 9633))) (i32.mul (local.get $a4) (i32.const 11363))) (i32.const 13))))
  (func (export "run") (param $n i32) (result i32)
    (local $sum i32) (local $r i32) (local $i i32)
    (local.set $sum (i32.const 0))
    (local.set $r (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop1
        (local.set $i (i32.const 0))
        (loop $loop4
          (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.sub (i32.and (i32.add (i32.mul (local.get $i)
            (i32.const 37)) (local.get $r)) (i32.const 255)) (i32.const 128)))
          (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
        (local.set $i (i32.const 0))
        (loop $loop7
          (call $turn (i32.shl (local.get $i) (i32.const 5)) (i32.const 4))
          (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
        (local.set $i (i32.const 0))
        (loop $loop10
          (call $turn (i32.shl (local.get $i) (i32.const 2)) (i32.const 32))
          (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
        (local.set $i (i32.const 0))
        (loop $loop13
          (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 1)) (i32.load (i32.shl (local.get $i)
            (i32.const 2)))))
          (br_if $loop13 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
        (br_if $loop1 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.get $sum)))
