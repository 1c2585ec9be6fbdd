;; Byte loads and a table: CRC-32 of n bytes. run(n) = the checksum.
(module
  (memory 32)
  (func $table
    (local $i i32) (local $c i32) (local $k i32)
    (loop $entry
      (local.set $c (local.get $i))
      (local.set $k (i32.const 8))
      (loop $bit
        (local.set $c (i32.xor (i32.shr_u (local.get $c) (i32.const 1))
          (i32.and (i32.const 0xEDB88320) (i32.sub (i32.const 0) (i32.and (local.get $c) (i32.const 1))))))
        (br_if $bit (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $c))
      (br_if $entry (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256)))))
  (func (export "run") (param $n i32) (result i32)
    (local $i i32) (local $c i32)
    (call $table)
    (loop $fill
      (i32.store8 offset=1024 (local.get $i) (i32.mul (local.get $i) (i32.const 31)))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.set $i (i32.const 0))
    (local.set $c (i32.const -1))
    (loop $next
      (local.set $c (i32.xor (i32.shr_u (local.get $c) (i32.const 8))
        (i32.load (i32.shl (i32.and (i32.xor (local.get $c) (i32.load8_u offset=1024 (local.get $i))) (i32.const 255))
                           (i32.const 2)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.xor (local.get $c) (i32.const -1))))
