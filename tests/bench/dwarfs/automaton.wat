;; State machines: a pattern of eight states over 8192 bytes n times, next states in a table of bytes. run(n) =
;; a hash of matches.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $hash i32) (local $i i32) (local $r i32) (local $state i32)
    (local.set $x (i32.const 61))
    (local.set $hash (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store8 (local.get $i) (i32.and (i32.shr_u (local.get $x) (i32.const 22)) (i32.const 127)))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
    (local.set $i (i32.const 0))
    (loop $loop4
      (i32.store8 offset=8192 (local.get $i) (i32.and (i32.xor (i32.mul (local.get $i) (i32.const 7))
        (i32.shr_u (local.get $i) (i32.const 5))) (i32.const 7)))
      (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
    (local.set $r (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop7
        (local.set $state (i32.and (local.get $r) (i32.const 7)))
        (local.set $i (i32.const 0))
        (loop $loop10
          (local.set $state (i32.load8_u offset=8192 (i32.or (i32.shl (local.get $state) (i32.const 7))
            (i32.load8_u (local.get $i)))))
          (if (i32.eq (local.get $state) (i32.const 5))
            (then
              (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (local.get $i)))))
          (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
        (br_if $loop7 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.get $hash)))
