;; Accesses of several fields of one record, under the bounded plan: bodies on a line. run(n) = a sum of speeds.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32) (local $i i32) (local $p i32) (local $sum i32)
    (loop $next
      (local.set $p (i32.shl (i32.and (local.get $i) (i32.const 1023)) (i32.const 5)))
      (i32.store offset=28 (local.get $p) (i32.add (i32.load offset=28 (local.get $p)) (i32.const 1)))
      (i32.store offset=4 (local.get $p) (i32.add (i32.load offset=4 (local.get $p)) (i32.load offset=8 (local.get $p))))
      (i32.store offset=8 (local.get $p) (i32.sub (i32.load offset=12 (local.get $p)) (i32.load offset=16 (local.get $p))))
      (i32.store offset=12 (local.get $p) (i32.xor (local.get $i) (i32.load offset=20 (local.get $p))))
      (i32.store offset=16 (local.get $p) (i32.add (i32.load offset=24 (local.get $p)) (i32.load offset=28 (local.get $p))))
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $p))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
