;; As ../kernels/matmul.wat, with a memory of 64-bit addresses: indices and places are i64.
(module
  (memory i64 64)
  (func $fill (param $n i64)
    (local $i i64) (local $end i64)
    (local.set $end (i64.mul (local.get $n) (local.get $n)))
    (loop $next
      (f64.store (i64.shl (local.get $i) (i64.const 3))
        (f64.convert_i32_u (i32.rem_u (i32.mul (i32.wrap_i64 (local.get $i)) (i32.const 7)) (i32.const 13))))
      (f64.store offset=1048576 (i64.shl (local.get $i) (i64.const 3))
        (f64.convert_i32_u (i32.rem_u (i32.mul (i32.wrap_i64 (local.get $i)) (i32.const 5)) (i32.const 11))))
      (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $end)))))
  (func (export "run") (param $size i32) (result f64)
    (local $i i64) (local $j i64) (local $k i64) (local $sum f64) (local $trace f64) (local $a i64) (local $b i64)
    (local $row i64) (local $n i64)
    (local.set $n (i64.extend_i32_u (local.get $size)))
    (call $fill (local.get $n))
    (local.set $row (i64.shl (local.get $n) (i64.const 3)))
    (loop $rows
      (local.set $j (i64.const 0))
      (loop $columns
        (local.set $sum (f64.const 0))
        (local.set $k (i64.const 0))
        (local.set $a (i64.mul (local.get $i) (local.get $row)))
        (local.set $b (i64.shl (local.get $j) (i64.const 3)))
        (loop $inner
          (local.set $sum (f64.add (local.get $sum)
            (f64.mul (f64.load (local.get $a)) (f64.load offset=1048576 (local.get $b)))))
          (local.set $a (i64.add (local.get $a) (i64.const 8)))
          (local.set $b (i64.add (local.get $b) (local.get $row)))
          (br_if $inner (i64.lt_u (local.tee $k (i64.add (local.get $k) (i64.const 1))) (local.get $n))))
        (f64.store offset=2097152
          (i64.add (i64.mul (local.get $i) (local.get $row)) (i64.shl (local.get $j) (i64.const 3))) (local.get $sum))
        (if (i64.eq (local.get $i) (local.get $j))
          (then (local.set $trace (f64.add (local.get $trace) (local.get $sum)))))
        (br_if $columns (i64.lt_u (local.tee $j (i64.add (local.get $j) (i64.const 1))) (local.get $n))))
      (br_if $rows (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (local.get $trace)))
