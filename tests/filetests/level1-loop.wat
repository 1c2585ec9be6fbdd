;; All passes at once on a loop with a division by a constant and a repeated address.
;;! show: opt
;;! passes: level 1
;;! machine: level 1
;;! run: f 4 => 1
(module (memory 1)
  (func $f (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32)
    (loop $again
      (i32.store (i32.mul (local.get $i) (i32.const 4)) (local.get $i))
      (local.set $s (i32.add (local.get $s) (i32.load (i32.mul (local.get $i) (i32.const 4)))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (i32.div_u (local.get $s) (i32.const 5))))
