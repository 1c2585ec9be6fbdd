;; Hashing of bytes: Adler-32 of 4096 bytes, n times, with the remainder taken every 5552. run(n) = the sum.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $a i32) (local $b i32) (local $i i32) (local $r i32) (local $at i32) (local $stop i32)
    (local.set $a (i32.const 1))
    (local.set $b (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store8 (local.get $i) (i32.xor (i32.mul (local.get $i) (i32.const 7)) (i32.shr_u (local.get $i)
        (i32.const 4))))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
    (local.set $r (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop4
        (local.set $at (i32.const 0))
        (block $out8
          (br_if $out8 (i32.eqz (i32.lt_s (local.get $at) (i32.const 4096))))
          (loop $loop7
            (local.set $stop (i32.add (local.get $at) (i32.const 2048)))
            (block $out11
              (br_if $out11 (i32.eqz (i32.lt_s (local.get $at) (local.get $stop))))
              (loop $loop10
                (local.set $a (i32.add (local.get $a) (i32.load8_u (local.get $at))))
                (local.set $b (i32.add (local.get $b) (local.get $a)))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br_if $loop10 (i32.lt_s (local.get $at) (local.get $stop)))))
            (local.set $a (i32.rem_u (local.get $a) (i32.const 65521)))
            (local.set $b (i32.rem_u (local.get $b) (i32.const 65521)))
            (br_if $loop7 (i32.lt_s (local.get $at) (i32.const 4096)))))
        (br_if $loop4 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (i32.or (i32.shl (local.get $b) (i32.const 16)) (local.get $a))))
