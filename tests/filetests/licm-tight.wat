;; licm: the address of a row leaves the small loop over its elements, though its operations take one cycle each; a
;; loop that is in no other keeps them.
;;! show: opt
;;! passes: licm
;;! run: rows 3 4 => 12
;;! run: single 3 4 => 4
(module
  (memory 1)
  (func $rows (export "rows") (param $n i32) (param $m i32) (result i32) (local $i i32) (local $j i32) (local $s i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (i32.store8 (i32.add (i32.add (i32.shl (local.get $i) (i32.const 4)) (local.get $n)) (local.get $j)) (i32.const 1))
        (local.set $s (i32.add (local.get $s) (i32.load8_u
          (i32.add (i32.add (i32.shl (local.get $i) (i32.const 4)) (local.get $n)) (local.get $j)))))
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $m))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $s))
  (func $single (export "single") (param $n i32) (param $m i32) (result i32) (local $j i32) (local $s i32)
    (loop $loop
      (i32.store8 (i32.add (i32.add (i32.shl (local.get $n) (i32.const 4)) (local.get $m)) (local.get $j)) (i32.const 1))
      (local.set $s (i32.add (local.get $s) (i32.load8_u
        (i32.add (i32.add (i32.shl (local.get $n) (i32.const 4)) (local.get $m)) (local.get $j)))))
      (br_if $loop (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $m))))
    (local.get $s)))
