;; Open addressing: inserts and finds n keys in a set of 65536 slots, linear probing. run(n) = found, probes
;; and a sum.
(module
  (memory 16)
  (func $slot_of (param $key i32) (result i32)
    (local.set $key (i32.mul (i32.xor (local.get $key) (i32.shr_u (local.get $key) (i32.const 16)))
      (i32.const 73244475)))
    (local.set $key (i32.mul (i32.xor (local.get $key) (i32.shr_u (local.get $key) (i32.const 16)))
      (i32.const 73244475)))
    (i32.and (i32.xor (local.get $key) (i32.shr_u (local.get $key) (i32.const 16))) (i32.const 65535)))
  (func $insert (param $key i32) (result i32)
    (local $at i32)
    (local.set $at (call $slot_of (local.get $key)))
    (block $out2
      (br_if $out2 (i32.eqz (i32.load (i32.shl (local.get $at) (i32.const 2)))))
      (loop $loop1
        (if (i32.eq (i32.load (i32.shl (local.get $at) (i32.const 2))) (local.get $key))
          (then
            (return (i32.const 0))))
        (local.set $at (i32.and (i32.add (local.get $at) (i32.const 1)) (i32.const 65535)))
        (br_if $loop1 (i32.load (i32.shl (local.get $at) (i32.const 2))))))
    (i32.store (i32.shl (local.get $at) (i32.const 2)) (local.get $key))
    (i32.const 1))
  (func $probes (param $key i32) (result i32)
    (local $at i32) (local $count i32)
    (local.set $at (call $slot_of (local.get $key)))
    (local.set $count (i32.const 1))
    (block $out2
      (br_if $out2 (i32.eqz (i32.load (i32.shl (local.get $at) (i32.const 2)))))
      (loop $loop1
        (if (i32.eq (i32.load (i32.shl (local.get $at) (i32.const 2))) (local.get $key))
          (then
            (return (local.get $count))))
        (local.set $at (i32.and (i32.add (local.get $at) (i32.const 1)) (i32.const 65535)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br_if $loop1 (i32.load (i32.shl (local.get $at) (i32.const 2))))))
    (i32.sub (i32.const 0) (local.get $count)))
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $sum i32) (local $members i32) (local $i i32)
    (local.set $x (i32.const 1))
    (local.set $sum (i32.const 0))
    (local.set $members (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.const 0))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
    (local.set $i (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $i) (local.get $n)))
      (loop $loop4
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (if (i32.lt_s (local.get $members) (i32.const 49152))
          (then
            (local.set $members (i32.add (local.get $members) (call $insert (i32.or (i32.shr_u (local.get $x)
              (i32.const 8)) (i32.const 1)))))))
        (local.set $sum (i32.xor (i32.rotl (local.get $sum) (i32.const 5)) (call $probes (i32.shr_u
          (local.get $x) (i32.const 8)))))
        (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
    (i32.add (local.get $sum) (local.get $members))))
