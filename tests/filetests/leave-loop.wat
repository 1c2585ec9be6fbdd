;; At level 0, too, an innermost loop has computed before it what it computes from values of outside: a product, and sums
;; and shifts in a small loop, one of them a part of an address. Neither a loop around another, nor one that calls.
;;! show: asm
;;! machine: fold-loads lea invariants
;;! run: row 2 3 4 => 24
;;! run: row 0 3 1 => 0
;;! run: nest 3 2 5 => 30
;;! run: calls 3 5 => 21
(module (memory 1)
  (func $row (export "row") (param $i i32) (param $n i32) (param $k i32) (result i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (i32.add (i32.mul (local.get $i) (local.get $n)) (i32.load (i32.add
        (i32.shl (local.get $i) (i32.const 3)) (i32.mul (local.get $i) (local.get $n)))))))
      (br_if $l (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (local.get $sum))
  (func $nest (export "nest") (param $i i32) (param $j i32) (param $n i32) (result i32) (local $sum i32) (local $k i32)
    (loop $outer
      (local.set $k (local.get $j))
      (local.set $sum (i32.sub (local.get $sum) (i32.mul (local.get $j) (local.get $n))))
      (loop $inner
        (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $n) (i32.add (local.get $j) (i32.const -1)))))
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (br_if $inner (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (br_if $outer (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.get $sum))
  (func $two (result i32) (i32.const 2))
  (func $calls (export "calls") (param $i i32) (param $n i32) (result i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (i32.sub (i32.add (local.get $n) (call $two)) (i32.const 0))))
      (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.get $sum)))
