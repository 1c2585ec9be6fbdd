;; A value that lives in a slot takes that of the value which it follows, or which it is passed to, where that has ended:
;; nothing is moved from slot to slot on the way back to a loop, nor where two ways meet. It keeps its own where the other
;; is needed still.
;;! show: asm
;;! run: sum 4 => 18
;;! run: swap 3 1 2 => 21
;;! run: meet 1 5 => 18
;;! run: meet 0 5 => 9
(module
  (func $two (result i32) (i32.const 2))
  (func $sum (export "sum") (param $i i32) (result i32) (local $a i32)
    (loop $l
      (local.set $a (i32.add (local.get $a) (local.get $i)))
      (local.set $a (i32.add (local.get $a) (call $two)))
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (drop (call $two))
      (br_if $l (local.get $i)))
    (local.get $a))
  (func $swap (export "swap") (param $i i32) (param $a i32) (param $b i32) (result i32) (local $t i32)
    (loop $l
      (drop (call $two))
      (local.set $t (local.get $a))
      (local.set $a (local.get $b))
      (local.set $b (local.get $t))
      (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.add (i32.mul (local.get $a) (i32.const 10)) (local.get $b)))
  (func $meet (export "meet") (param $c i32) (param $a i32) (result i32) (local $b i32)
    (local.set $b (i32.add (local.get $a) (call $two)))
    (drop (call $two))
    (if (local.get $c) (then (local.set $b (i32.mul (local.get $b) (call $two)))))
    (drop (call $two))
    (i32.add (local.get $b) (i32.mul (call $two) (i32.add (i32.const 1) (local.get $c))))))
