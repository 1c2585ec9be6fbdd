;; licm: a loop ends at its last way back. What its construct holds behind that runs once, so that a product stays there
;; (tail); a loop that begins before the way back is inside with all of its blocks (crossed).
;;! show: ssa opt
;;! passes: licm
;;! run: tail 3 4 => 22
;;! run: crossed 3 4 => 24
(module
  (func $tail (export "tail") (param $n i32) (param $m i32) (result i32) (local $s i32)
    (block $out
      (loop $again
        (local.set $s (i32.add (local.get $s) (i32.const 2)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
        (if (local.get $m) (then
          (local.set $s (i32.add (local.get $s) (i32.mul (local.get $m) (local.get $m))))))))
    (local.get $s))
  (func $crossed (export "crossed") (param $n i32) (param $m i32) (result i32) (local $s i32)
    (loop $outer
      (loop $inner
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $outer (i32.gt_s (local.get $n) (i32.const 0)))
        (local.set $s (i32.add (local.get $s) (i32.mul (local.get $m) (i32.const 3))))
        (br_if $inner (i32.gt_s (local.get $n) (i32.const -1)))))
    (local.get $s)))
