;; Codecs: 3072 bytes to base64 and back, n times, by tables. run(n) = a hash of the text and of the bytes.
(module
  (memory 1)
  (data (i32.const 16384) "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  (func (export "run") (param $n i32) (result i32)
    (local $hash i32) (local $i i32) (local $r i32) (local $to i32) (local $x i32)
    (local.set $hash (i32.const 0))
    (local.set $i (i32.const 0))
    (loop $loop1
      (i32.store8 offset=16512 (i32.load8_u offset=16384 (local.get $i)) (local.get $i))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
    (local.set $i (i32.const 0))
    (loop $loop4
      (i32.store8 (local.get $i) (i32.xor (i32.mul (local.get $i) (i32.const 11)) (i32.shr_u (local.get $i)
        (i32.const 3))))
      (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3072))))
    (local.set $r (i32.const 0))
    (block $out8
      (br_if $out8 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop7
        (local.set $to (i32.const 0))
        (local.set $i (i32.const 0))
        (loop $loop10
          (local.set $x (i32.or (i32.or (i32.shl (i32.load8_u (local.get $i)) (i32.const 16)) (i32.shl
            (i32.load8_u offset=1 (local.get $i)) (i32.const 8))) (i32.load8_u offset=2 (local.get $i))))
          (i32.store8 offset=4096 (local.get $to) (i32.load8_u offset=16384 (i32.shr_u (local.get $x)
            (i32.const 18))))
          (i32.store8 offset=4097 (local.get $to) (i32.load8_u offset=16384 (i32.and (i32.shr_u (local.get $x)
            (i32.const 12)) (i32.const 63))))
          (i32.store8 offset=4098 (local.get $to) (i32.load8_u offset=16384 (i32.and (i32.shr_u (local.get $x)
            (i32.const 6)) (i32.const 63))))
          (i32.store8 offset=4099 (local.get $to) (i32.load8_u offset=16384 (i32.and (local.get $x)
            (i32.const 63))))
          (local.set $to (i32.add (local.get $to) (i32.const 4)))
          (br_if $loop10 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 3))) (i32.const 3072))))
        (local.set $to (i32.const 0))
        (local.set $i (i32.const 0))
        (loop $loop13
          (local.set $x (i32.or (i32.or (i32.or (i32.shl (i32.load8_u offset=16512 (i32.load8_u offset=4096
            (local.get $i))) (i32.const 18)) (i32.shl (i32.load8_u offset=16512 (i32.load8_u offset=4097
            (local.get $i))) (i32.const 12))) (i32.shl (i32.load8_u offset=16512 (i32.load8_u offset=4098
            (local.get $i))) (i32.const 6))) (i32.load8_u offset=16512 (i32.load8_u offset=4099 (local.get $i)))))
          (i32.store8 offset=8704 (local.get $to) (i32.shr_u (local.get $x) (i32.const 16)))
          (i32.store8 offset=8705 (local.get $to) (i32.shr_u (local.get $x) (i32.const 8)))
          (i32.store8 offset=8706 (local.get $to) (local.get $x))
          (local.set $to (i32.add (local.get $to) (i32.const 3)))
          (br_if $loop13 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 4096))))
        (local.set $hash (i32.add (i32.add (i32.mul (local.get $hash) (i32.const 31)) (i32.load8_u offset=8704
          (i32.rem_u (i32.mul (local.get $r) (i32.const 7)) (i32.const 3072)))) (i32.load8_u offset=4096
          (i32.rem_u (i32.mul (local.get $r) (i32.const 13)) (i32.const 4096)))))
        (br_if $loop7 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $loop16
      (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (i32.xor (i32.load8_u (local.get $i))
        (i32.load8_u offset=8704 (local.get $i)))))
      (br_if $loop16 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3072))))
    (local.get $hash)))
