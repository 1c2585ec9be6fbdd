;; Small functions in a loop, as a compiler without inlining leaves them: a particle in a box. run(n) = a sum of places.
(module
  (memory 1)
  (func $at (param $i i32) (result i32) (i32.shl (i32.and (local.get $i) (i32.const 255)) (i32.const 3)))
  (func $get (param $i i32) (result i32) (i32.load offset=16 (call $at (local.get $i))))
  (func $set (param $i i32) (param $v i32) (i32.store offset=16 (call $at (local.get $i)) (local.get $v)))
  (func $clamp (param $v i32) (result i32)
    (if (i32.gt_s (local.get $v) (i32.const 9999)) (then (return (i32.sub (local.get $v) (i32.const 9999)))))
    (local.get $v))
  (func (export "run") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $next
      (call $set (local.get $i) (call $clamp (i32.add (call $get (local.get $i)) (i32.mul (local.get $i) (i32.const 7)))))
      (local.set $sum (i32.add (local.get $sum) (call $get (i32.add (local.get $i) (i32.const 3)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
