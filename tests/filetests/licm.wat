;; licm: a product of values from outside is computed before the loop; a sum, one cycle, and a load stay.
;;! show: ssa opt
;;! passes: licm
;;! run: f 3 4 => 42
(module (memory 1)
  (func $f (export "f") (param $n i32) (param $m i32) (result i32) (local $s i32) (local $i i32)
    (local.set $i (local.get $n))
    (loop $again
      (local.set $s (i32.add (local.get $s) (i32.mul (local.get $n) (local.get $m))))
      (local.set $s (i32.add (local.get $s) (i32.sub (local.get $m) (i32.const 2))))
      (local.set $s (i32.add (local.get $s) (i32.load (local.get $m))))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (local.get $s)))
