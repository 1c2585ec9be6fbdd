;; Dynamic programming: the most valuable of n things with a room of 2000, from the right so that each goes in
;; once. run(n).
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $i i32) (local $weight i32) (local $value i32) (local $room i32) (local $with_it i32)
    (local.set $x (i32.const 11))
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.const 0))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2001))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
        (local.set $weight (i32.add (i32.and (i32.shr_u (local.get $x) (i32.const 16)) (i32.const 127))
          (i32.const 1)))
        (local.set $value (i32.and (i32.shr_u (local.get $x) (i32.const 8)) (i32.const 255)))
        (local.set $room (i32.const 2000))
        (block $out8
          (br_if $out8 (i32.eqz (i32.ge_s (local.get $room) (local.get $weight))))
          (loop $loop7
            (local.set $with_it (i32.add (i32.load (i32.shl (i32.sub (local.get $room) (local.get $weight))
              (i32.const 2))) (local.get $value)))
            (if (i32.gt_s (local.get $with_it) (i32.load (i32.shl (local.get $room) (i32.const 2))))
              (then
                (i32.store (i32.shl (local.get $room) (i32.const 2)) (local.get $with_it))))
            (local.set $room (i32.sub (local.get $room) (i32.const 1)))
            (br_if $loop7 (i32.ge_s (local.get $room) (local.get $weight)))))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (i32.load (i32.const 8000))))
