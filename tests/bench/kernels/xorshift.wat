;; i64 arithmetic in registers: xorshift64*. run(n) = the state after n steps.
(module
  (func (export "run") (param $n i32) (result i64)
    (local $x i64)
    (local.set $x (i64.const 0x9E3779B97F4A7C15))
    (loop $next
      (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 12))))
      (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 25))))
      (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 27))))
      (local.set $x (i64.mul (local.get $x) (i64.const 0x2545F4914F6CDD1D)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x)))
