;; Codecs: unpacks a stream of literals and of copies from behind, n times, into 16384 bytes. run(n) = a hash
;; of what came out.
(module
  (memory 2)
  (func (export "run") (param $n i32) (result i32)
    (local $x i32) (local $end i32) (local $made i32) (local $hash i32) (local $length i32) (local $k i32)
      (local $r i32) (local $at i32) (local $to i32) (local $c i32) (local $src i32) (local $i i32)
    (local.set $x (i32.const 53))
    (local.set $end (i32.const 0))
    (local.set $made (i32.const 0))
    (local.set $hash (i32.const 0))
    (block $out2
      (br_if $out2 (i32.eqz (i32.lt_s (local.get $made) (i32.const 16000))))
      (loop $loop1
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (local.set $length (i32.add (i32.and (i32.shr_u (local.get $x) (i32.const 24)) (i32.const 15))
          (i32.const 3)))
        (if (if (result i32) (i32.gt_s (local.get $made) (i32.const 64)) (then (i32.and (i32.shr_u
          (local.get $x) (i32.const 20)) (i32.const 3))) (else (i32.const 0)))
          (then
            (i32.store8 (local.get $end) (i32.or (i32.const 128) (local.get $length)))
            (i32.store8 offset=1 (local.get $end) (i32.add (i32.and (i32.shr_u (local.get $x) (i32.const 12))
              (i32.const 63)) (i32.const 1)))
            (local.set $end (i32.add (local.get $end) (i32.const 2))))
          (else
            (i32.store8 (local.get $end) (local.get $length))
            (local.set $k (i32.const 0))
            (block $out5
              (br_if $out5 (i32.ge_s (local.get $k) (local.get $length)))
              (loop $loop4
                (i32.store8 offset=1 (i32.add (local.get $end) (local.get $k)) (i32.and (i32.shr_u
                  (local.get $x) (local.get $k)) (i32.const 255)))
                (br_if $loop4 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $length)))))
            (local.set $end (i32.add (local.get $end) (i32.add (local.get $length) (i32.const 1))))))
        (local.set $made (i32.add (local.get $made) (local.get $length)))
        (br_if $loop1 (i32.lt_s (local.get $made) (i32.const 16000)))))
    (local.set $r (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop7
        (local.set $at (i32.const 0))
        (local.set $to (i32.const 0))
        (block $out11
          (br_if $out11 (i32.eqz (i32.lt_s (local.get $at) (local.get $end))))
          (loop $loop10
            (local.set $c (i32.load8_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $length (i32.and (local.get $c) (i32.const 127)))
            (if (i32.and (local.get $c) (i32.const 128))
              (then
                (local.set $src (i32.sub (local.get $to) (i32.load8_u (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (block $out14
                  (br_if $out14 (i32.eqz (i32.gt_s (local.get $length) (i32.const 0))))
                  (loop $loop13
                    (i32.store8 offset=65536 (local.get $to) (i32.load8_u offset=65536 (local.get $src)))
                    (local.set $to (i32.add (local.get $to) (i32.const 1)))
                    (local.set $src (i32.add (local.get $src) (i32.const 1)))
                    (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                    (br_if $loop13 (i32.gt_s (local.get $length) (i32.const 0))))))
              (else
                (block $out17
                  (br_if $out17 (i32.eqz (i32.gt_s (local.get $length) (i32.const 0))))
                  (loop $loop16
                    (i32.store8 offset=65536 (local.get $to) (i32.load8_u (local.get $at)))
                    (local.set $to (i32.add (local.get $to) (i32.const 1)))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                    (br_if $loop16 (i32.gt_s (local.get $length) (i32.const 0)))))))
            (br_if $loop10 (i32.lt_s (local.get $at) (local.get $end)))))
        (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (local.get $to)))
        (br_if $loop7 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop19
      (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (i32.load8_u offset=65536
        (local.get $i))))
      (br_if $loop19 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16000))))
    (local.get $hash)))
