;; call_indirect: n calls through a table of four functions. run(n) = the last value.
(module
  (type $unary (func (param i32) (result i32)))
  (table 4 funcref)
  (elem (i32.const 0) $a $b $c $d)
  (func $a (type $unary) (i32.add (local.get 0) (i32.const 3)))
  (func $b (type $unary) (i32.xor (local.get 0) (i32.const 0x5bd1e995)))
  (func $c (type $unary) (i32.rotl (local.get 0) (i32.const 7)))
  (func $d (type $unary) (i32.mul (local.get 0) (i32.const 5)))
  (func (export "run") (param $n i32) (result i32)
    (local $x i32)
    (loop $next
      (local.set $x (call_indirect (type $unary) (local.get $x) (i32.and (local.get $n) (i32.const 3))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x)))
