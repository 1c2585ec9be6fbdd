;; String search: finds n patterns of eight bytes in a text of 16384, skipping by the last byte. run(n) =
;; places found, summed.
(module
  (memory 1)
  (func $find (param $pattern i32) (result i32)
    (local $i i32) (local $at i32) (local $last i32) (local $k i32)
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store8 offset=16384 (local.get $i) (i32.const 8))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256))))
    (local.set $i (i32.const 0))
    (loop $loop4
      (i32.store8 offset=16384 (i32.load8_u (i32.add (local.get $pattern) (local.get $i))) (i32.sub
        (i32.const 7) (local.get $i)))
      (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 7))))
    (local.set $at (i32.const 0))
    (block $out8
      (br_if $out8 (i32.eqz (i32.le_s (local.get $at) (i32.const 16376))))
      (loop $loop7
        (local.set $last (i32.load8_u offset=7 (local.get $at)))
        (if (i32.eq (local.get $last) (i32.load8_u offset=7 (local.get $pattern)))
          (then
            (local.set $k (i32.const 0))
            (block $out11
              (br_if $out11 (i32.eqz (if (result i32) (i32.lt_s (local.get $k) (i32.const 7)) (then (i32.eq
                (i32.load8_u (i32.add (local.get $at) (local.get $k))) (i32.load8_u (i32.add (local.get $pattern)
                (local.get $k))))) (else (i32.const 0)))))
              (loop $loop10
                (local.set $k (i32.add (local.get $k) (i32.const 1)))
                (br_if $loop10 (if (result i32) (i32.lt_s (local.get $k) (i32.const 7)) (then (i32.eq
                  (i32.load8_u (i32.add (local.get $at) (local.get $k))) (i32.load8_u (i32.add (local.get $pattern)
                  (local.get $k))))) (else (i32.const 0))))))
            (if (i32.eq (local.get $k) (i32.const 7))
              (then
                (return (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.load8_u offset=16384 (local.get $last))))
        (br_if $loop7 (i32.le_s (local.get $at) (i32.const 16376)))))
    (i32.const -1))
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sum i32) (local $i i32)
    (local.set $x (i32.const 31))
    (local.set $sum (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store8 (local.get $i) (i32.add (i32.const 97) (i32.and (i32.shr_u (local.get $x) (i32.const 20))
        (i32.const 15))))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16384))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 3)) (call $find (i32.rem_u (i32.mul
          (local.get $i) (i32.const 7919)) (i32.const 16376)))))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (local.get $sum)))
