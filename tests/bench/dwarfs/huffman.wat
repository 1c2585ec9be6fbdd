;; Codecs: reads 4096 symbols of one to eight bits by a tree in memory, n times. run(n) = a hash of the
;; symbols.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $hash i32) (local $i i32) (local $r i32) (local $at i32) (local $bits i32) (local $have i32)
      (local $node i32)
    (local.set $x (i32.const 59))
    (local.set $hash (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store8 (local.get $i) (i32.shr_u (local.get $x) (i32.const 24)))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
    (local.set $i (i32.const 0))
    (loop $loop4
      (i32.store16 offset=8192 (i32.shl (local.get $i) (i32.const 2)) (i32.add (i32.const 256) (local.get $i)))
      (i32.store16 offset=8194 (i32.shl (local.get $i) (i32.const 2)) (select (i32.add (local.get $i)
        (i32.const 1)) (i32.const 264) (i32.lt_s (local.get $i) (i32.const 7))))
      (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
    (local.set $r (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop7
        (local.set $at (i32.const 0))
        (local.set $bits (i32.const 0))
        (local.set $have (i32.const 0))
        (local.set $i (i32.const 0))
        (loop $loop10
          (local.set $node (i32.const 0))
          (block $out14
            (br_if $out14 (i32.eqz (i32.lt_s (local.get $node) (i32.const 256))))
            (loop $loop13
              (if (i32.eq (local.get $have) (i32.const 0))
                (then
                  (local.set $bits (i32.load8_u (i32.and (local.get $at) (i32.const 4095))))
                  (local.set $at (i32.add (local.get $at) (i32.const 1)))
                  (local.set $have (i32.const 8))))
              (local.set $node (i32.load16_u offset=8192 (i32.add (i32.shl (local.get $node) (i32.const 2))
                (i32.shl (i32.and (local.get $bits) (i32.const 1)) (i32.const 1)))))
              (local.set $bits (i32.shr_u (local.get $bits) (i32.const 1)))
              (local.set $have (i32.sub (local.get $have) (i32.const 1)))
              (br_if $loop13 (i32.lt_s (local.get $node) (i32.const 256)))))
          (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (local.get $node)))
          (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4096))))
        (br_if $loop7 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.get $hash)))
