;; f64 arithmetic with strided loads: C = A·B for n × n matrices. run(n) = trace(C).
(module
  (memory 64)
  (func $fill (param $n i32)
    (local $i i32) (local $end i32)
    (local.set $end (i32.mul (local.get $n) (local.get $n)))
    (loop $next
      (f64.store (i32.shl (local.get $i) (i32.const 3))
        (f64.convert_i32_u (i32.rem_u (i32.mul (local.get $i) (i32.const 7)) (i32.const 13))))
      (f64.store offset=1048576 (i32.shl (local.get $i) (i32.const 3))
        (f64.convert_i32_u (i32.rem_u (i32.mul (local.get $i) (i32.const 5)) (i32.const 11))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $end)))))
  (func (export "run") (param $n i32) (result f64)
    (local $i i32) (local $j i32) (local $k i32) (local $sum f64) (local $trace f64) (local $a i32) (local $b i32) (local $row i32)
    (call $fill (local.get $n))
    (local.set $row (i32.shl (local.get $n) (i32.const 3)))
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $sum (f64.const 0))
        (local.set $k (i32.const 0))
        (local.set $a (i32.mul (local.get $i) (local.get $row)))
        (local.set $b (i32.shl (local.get $j) (i32.const 3)))
        (loop $inner
          (local.set $sum (f64.add (local.get $sum)
            (f64.mul (f64.load (local.get $a)) (f64.load offset=1048576 (local.get $b)))))
          (local.set $a (i32.add (local.get $a) (i32.const 8)))
          (local.set $b (i32.add (local.get $b) (local.get $row)))
          (br_if $inner (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n))))
        (f64.store offset=2097152
          (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl (local.get $j) (i32.const 3))) (local.get $sum))
        (if (i32.eq (local.get $i) (local.get $j))
          (then (local.set $trace (f64.add (local.get $trace) (local.get $sum)))))
        (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $rows (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $trace)))
