;; licm: a value leaves both loops at once; what depends on the outer loop's counter leaves only the inner one.
;;! show: opt
;;! passes: licm
;;! run: f 3 => 81
(module (func $f (export "f") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $s i32)
  (local.set $i (local.get $n))
  (loop $outer
    (local.set $j (local.get $n))
    (loop $inner
      (local.set $s (i32.add (local.get $s)
        (i32.add (i32.mul (local.get $n) (local.get $n)) (i32.mul (local.get $i) (i32.const 0)))))
      (br_if $inner (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
    (br_if $outer (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
  (local.get $s)))
