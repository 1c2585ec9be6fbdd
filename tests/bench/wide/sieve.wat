;; As ../kernels/sieve.wat, with a memory of 64-bit addresses: numbers that are places are i64.
(module
  (memory i64 64)
  (func (export "run") (param $size i32) (result i32)
    (local $i i64) (local $j i64) (local $count i32) (local $n i64)
    (local.set $n (i64.extend_i32_u (local.get $size)))
    (memory.fill (i64.const 0) (i32.const 1) (local.get $n))
    (local.set $i (i64.const 2))
    (block $done
      (loop $next
        (br_if $done (i64.ge_u (local.get $i) (local.get $n)))
        (if (i32.load8_u (local.get $i))
          (then
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (local.set $j (i64.shl (local.get $i) (i64.const 1)))
            (block $out
              (loop $mark
                (br_if $out (i64.ge_u (local.get $j) (local.get $n)))
                (i32.store8 (local.get $j) (i32.const 0))
                (local.set $j (i64.add (local.get $j) (local.get $i)))
                (br $mark)))))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br $next)))
    (local.get $count)))
