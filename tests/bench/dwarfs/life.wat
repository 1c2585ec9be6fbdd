;; A stencil over bytes: n generations of the game of life on a torus of 64 x 64. run(n) = cells alive, mixed
;; with a hash.
(module
  (memory 1)
  (func $cell (param $y i32) (param $x i32) (result i32)
    (i32.load8_u (i32.or (i32.shl (i32.and (local.get $y) (i32.const 63)) (i32.const 6)) (i32.and (local.get $x)
      (i32.const 63)))))
  (func (export "run") (param $n i32) (result i32)
    (local $s i32) (local $hash i32) (local $i i32) (local $r i32) (local $y i32) (local $x i32) (local $around i32)
    (local.set $s (i32.const 99))
    (local.set $hash (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store8 (local.get $i) (i32.shr_u (local.get $s) (i32.const 31)))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
    (local.set $r (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop4
        (local.set $y (i32.const 0))
        (loop $loop7
          (local.set $x (i32.const 0))
          (loop $loop10
            (local.set $around (i32.add (i32.add (i32.add (i32.add (i32.add (i32.add (i32.add (call $cell
              (i32.sub (local.get $y) (i32.const 1)) (i32.sub (local.get $x) (i32.const 1))) (call $cell
              (i32.sub (local.get $y) (i32.const 1)) (local.get $x))) (call $cell (i32.sub (local.get $y)
              (i32.const 1)) (i32.add (local.get $x) (i32.const 1)))) (call $cell (local.get $y) (i32.sub
              (local.get $x) (i32.const 1)))) (call $cell (local.get $y) (i32.add (local.get $x) (i32.const 1))))
              (call $cell (i32.add (local.get $y) (i32.const 1)) (i32.sub (local.get $x) (i32.const 1))))
              (call $cell (i32.add (local.get $y) (i32.const 1)) (local.get $x))) (call $cell (i32.add
              (local.get $y) (i32.const 1)) (i32.add (local.get $x) (i32.const 1)))))
            (i32.store8 offset=4096 (i32.or (i32.shl (local.get $y) (i32.const 6)) (local.get $x)) (i32.or
              (i32.eq (local.get $around) (i32.const 3)) (i32.and (i32.eq (local.get $around) (i32.const 2))
              (call $cell (local.get $y) (local.get $x)))))
            (br_if $loop10 (i32.lt_s (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 64))))
          (br_if $loop7 (i32.lt_s (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const 64))))
        (local.set $i (i32.const 0))
        (loop $loop13
          (i64.store (local.get $i) (i64.load offset=4096 (local.get $i)))
          (br_if $loop13 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 4096))))
        (br_if $loop4 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop16
      (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (i32.load8_u (local.get $i))))
      (br_if $loop16 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
    (local.get $hash)))
