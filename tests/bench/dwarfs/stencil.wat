;; A five-point stencil: n sweeps from one plane of 64 x 64 doubles to another and back. run(n) = a checksum.
(module
  (memory 2)
  (func $sweep (param $src i32) (param $dst i32)
    (local $y i32) (local $at i32) (local $to i32) (local $x i32)
    (local.set $y (i32.const 1))
    (loop $loop1
      (local.set $at (i32.add (local.get $src) (i32.shl (local.get $y) (i32.const 9))))
      (local.set $to (i32.add (local.get $dst) (i32.shl (local.get $y) (i32.const 9))))
      (local.set $x (i32.const 1))
      (loop $loop4
        (f64.store (i32.add (local.get $to) (i32.shl (local.get $x) (i32.const 3))) (f64.mul (f64.add
          (f64.add (f64.add (f64.add (f64.load (i32.add (local.get $at) (i32.shl (local.get $x) (i32.const 3))))
          (f64.load (i32.sub (i32.add (local.get $at) (i32.shl (local.get $x) (i32.const 3))) (i32.const 8))))
          (f64.load (i32.add (i32.add (local.get $at) (i32.shl (local.get $x) (i32.const 3))) (i32.const 8))))
          (f64.load (i32.sub (i32.add (local.get $at) (i32.shl (local.get $x) (i32.const 3))) (i32.const 512))))
          (f64.load (i32.add (i32.add (local.get $at) (i32.shl (local.get $x) (i32.const 3))) (i32.const 512))))
          (f64.const 0.2)))
        (br_if $loop4 (i32.lt_s (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 63))))
      (br_if $loop1 (i32.lt_s (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const 63)))))
  (func (export "run") (param $n i32) (result f64)
    (local $sum f64) (local $i i32)
    (local.set $sum (f64.const 0.0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (f64.store (i32.shl (local.get $i) (i32.const 3)) (f64.convert_i32_s (i32.rem_u (i32.mul (local.get $i)
        (i32.const 31)) (i32.const 17))))
      (f64.store offset=32768 (i32.shl (local.get $i) (i32.const 3)) (f64.load (i32.shl (local.get $i)
        (i32.const 3))))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (call $sweep (i32.const 0) (i32.const 32768))
        (call $sweep (i32.const 32768) (i32.const 0))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop7
      (local.set $sum (f64.add (f64.mul (local.get $sum) (f64.const 0.5)) (f64.load (i32.shl (local.get $i)
        (i32.const 3)))))
      (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
    (local.get $sum)))
