;; A stencil over bytes: n box blurs of a picture of 128 x 64, with the nine bytes summed anew for each. run(n)
;; = a checksum.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $sum i32) (local $i i32) (local $r i32) (local $y i32) (local $x i32) (local $at i32) (local $s i32)
    (local.set $sum (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store8 (local.get $i) (i32.shr_u (i32.mul (local.get $i) (local.get $i)) (i32.const 3)))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
    (local.set $r (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop4
        (local.set $y (i32.const 1))
        (loop $loop7
          (local.set $x (i32.const 1))
          (loop $loop10
            (local.set $at (i32.add (i32.shl (local.get $y) (i32.const 7)) (local.get $x)))
            (local.set $s (i32.add (i32.add (i32.add (i32.add (i32.add (i32.add (i32.add (i32.add
              (i32.load8_u (i32.sub (local.get $at) (i32.const 129))) (i32.load8_u (i32.sub (local.get $at)
              (i32.const 128)))) (i32.load8_u (i32.sub (local.get $at) (i32.const 127)))) (i32.load8_u
              (i32.sub (local.get $at) (i32.const 1)))) (i32.load8_u (local.get $at))) (i32.load8_u (i32.add
              (local.get $at) (i32.const 1)))) (i32.load8_u (i32.add (local.get $at) (i32.const 127))))
              (i32.load8_u (i32.add (local.get $at) (i32.const 128)))) (i32.load8_u (i32.add (local.get $at)
              (i32.const 129)))))
            (i32.store8 offset=8192 (local.get $at) (i32.div_u (i32.mul (local.get $s) (i32.const 7282))
              (i32.const 65536)))
            (br_if $loop10 (i32.lt_s (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 127))))
          (br_if $loop7 (i32.lt_s (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const 63))))
        (local.set $y (i32.const 1))
        (loop $loop13
          (local.set $x (i32.const 1))
          (loop $loop16
            (i32.store8 (i32.add (i32.shl (local.get $y) (i32.const 7)) (local.get $x)) (i32.add
              (i32.load8_u offset=8192 (i32.add (i32.shl (local.get $y) (i32.const 7)) (local.get $x)))
              (i32.and (local.get $x) (i32.const 3))))
            (br_if $loop16 (i32.lt_s (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 127))))
          (br_if $loop13 (i32.lt_s (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const 63))))
        (br_if $loop4 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop19
      (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 3)) (i32.load8_u (local.get $i))))
      (br_if $loop19 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
    (local.get $sum)))
