;; Parsing: decodes 4096 bytes of UTF-8 n times, one to three bytes a character. run(n) = a hash of the
;; characters.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $hash i32) (local $x i32) (local $at i32) (local $c i32) (local $kind i32) (local $end i32)
      (local $r i32)
    (local.set $hash (i32.const 0))
    (local.set $x (i32.const 29))
    (local.set $at (i32.const 0))
    (block $out2
      (br_if $out2 (i32.eqz (i32.lt_s (local.get $at) (i32.const 4090))))
      (loop $loop1
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (local.set $c (i32.and (i32.shr_u (local.get $x) (i32.const 12)) (i32.const 32767)))
        (local.set $kind (i32.shr_u (local.get $x) (i32.const 29)))
        (if (i32.lt_s (local.get $kind) (i32.const 5))
          (then
            (i32.store8 (local.get $at) (i32.and (local.get $c) (i32.const 127)))
            (local.set $at (i32.add (local.get $at) (i32.const 1))))
          (else
            (if (i32.lt_s (local.get $kind) (i32.const 7))
              (then
                (i32.store8 (local.get $at) (i32.add (i32.const 194) (i32.and (local.get $c) (i32.const 15))))
                (i32.store8 offset=1 (local.get $at) (i32.or (i32.const 128) (i32.and (i32.shr_u (local.get $c)
                  (i32.const 8)) (i32.const 63))))
                (local.set $at (i32.add (local.get $at) (i32.const 2))))
              (else
                (i32.store8 (local.get $at) (i32.add (i32.const 225) (i32.and (local.get $c) (i32.const 7))))
                (i32.store8 offset=1 (local.get $at) (i32.or (i32.const 128) (i32.and (i32.shr_u (local.get $c)
                  (i32.const 8)) (i32.const 63))))
                (i32.store8 offset=2 (local.get $at) (i32.or (i32.const 128) (i32.and (i32.shr_u (local.get $c)
                  (i32.const 4)) (i32.const 63))))
                (local.set $at (i32.add (local.get $at) (i32.const 3)))))))
        (br_if $loop1 (i32.lt_s (local.get $at) (i32.const 4090)))))
    (local.set $end (local.get $at))
    (local.set $r (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop4
        (local.set $at (i32.const 0))
        (block $out8
          (br_if $out8 (i32.eqz (i32.lt_s (local.get $at) (local.get $end))))
          (loop $loop7
            (local.set $c (i32.load8_u (local.get $at)))
            (if (i32.lt_s (local.get $c) (i32.const 128))
              (then
                (local.set $at (i32.add (local.get $at) (i32.const 1))))
              (else
                (if (i32.lt_s (local.get $c) (i32.const 224))
                  (then
                    (local.set $c (i32.or (i32.shl (i32.and (local.get $c) (i32.const 31)) (i32.const 6))
                      (i32.and (i32.load8_u offset=1 (local.get $at)) (i32.const 63))))
                    (local.set $at (i32.add (local.get $at) (i32.const 2))))
                  (else
                    (local.set $c (i32.or (i32.or (i32.shl (i32.and (local.get $c) (i32.const 15))
                      (i32.const 12)) (i32.shl (i32.and (i32.load8_u offset=1 (local.get $at)) (i32.const 63))
                      (i32.const 6))) (i32.and (i32.load8_u offset=2 (local.get $at)) (i32.const 63))))
                    (local.set $at (i32.add (local.get $at) (i32.const 3)))))))
            (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (local.get $c)))
            (br_if $loop7 (i32.lt_s (local.get $at) (local.get $end)))))
        (br_if $loop4 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.get $hash)))
