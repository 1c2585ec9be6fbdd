;; cfg: a comparison of constants decides its branch, and so does the negation of one: a loop that is entered on a
;; condition that holds has no test before it.
;;! show: ssa opt
;;! passes: cfg
;;! run: f => 45
;;! run: g => 7
(module
  (func $f (export "f") (result i32) (local $i i32) (local $sum i32)
    (block $out
      (br_if $out (i32.eqz (i32.lt_s (local.get $i) (i32.const 10))))
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (local.get $i)))
        (br_if $again (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10)))))
    (local.get $sum))
  (func $g (export "g") (result i32)
    (if (result i32) (i64.gt_u (i64.const -1) (i64.const 0x100000000)) (then (i32.const 7)) (else (i32.const 8)))))
