;; 64-bit numbers by constants: the digits of a counter, and a signed average. run(n) = a sum of digits.
(module
  (func (export "run") (param $n i32) (result i64) (local $x i64) (local $sum i64)
    (loop $next
      (local.set $x (i64.mul (i64.extend_i32_u (local.get $n)) (i64.const 0x9E3779B97F4A7C15)))
      (loop $digit
        (local.set $sum (i64.add (local.get $sum) (i64.rem_u (local.get $x) (i64.const 10))))
        (br_if $digit (i64.ne (i64.const 0) (local.tee $x (i64.div_u (local.get $x) (i64.const 10))))))
      (local.set $sum (i64.add (local.get $sum) (i64.div_s (local.get $sum) (i64.const -1000))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
