;; A loop's parameters are the locals that it changes; n, which it does not, is used from outside.
;;! show: ssa
;;! run: sum 10 => 45
(module (func $sum (export "sum") (param $n i32) (result i32) (local $i i32) (local $s i32)
  (loop $again
    (local.set $s (i32.add (local.get $s) (local.get $i)))
    (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
  (local.get $s)))
