;; As ../kernels/crc32.wat, with a memory of 64-bit addresses: what counts bytes and finds words is an i64.
(module
  (memory i64 32)
  (func $table
    (local $i i64) (local $c i32) (local $k i32)
    (loop $entry
      (local.set $c (i32.wrap_i64 (local.get $i)))
      (local.set $k (i32.const 8))
      (loop $bit
        (local.set $c (i32.xor (i32.shr_u (local.get $c) (i32.const 1))
          (i32.and (i32.const 0xEDB88320) (i32.sub (i32.const 0) (i32.and (local.get $c) (i32.const 1))))))
        (br_if $bit (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (i32.store (i64.shl (local.get $i) (i64.const 2)) (local.get $c))
      (br_if $entry (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.const 256)))))
  (func (export "run") (param $size i32) (result i32)
    (local $i i64) (local $c i32) (local $n i64)
    (local.set $n (i64.extend_i32_u (local.get $size)))
    (call $table)
    (loop $fill
      (i32.store8 offset=1024 (local.get $i) (i32.mul (i32.wrap_i64 (local.get $i)) (i32.const 31)))
      (br_if $fill (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.set $i (i64.const 0))
    (local.set $c (i32.const -1))
    (loop $next
      (local.set $c (i32.xor (i32.shr_u (local.get $c) (i32.const 8))
        (i32.load (i64.shl (i64.extend_i32_u
          (i32.and (i32.xor (local.get $c) (i32.load8_u offset=1024 (local.get $i))) (i32.const 255))) (i64.const 2)))))
      (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (i32.xor (local.get $c) (i32.const -1))))
