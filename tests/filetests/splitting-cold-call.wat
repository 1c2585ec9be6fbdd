;; The splitting allocator: a call on the rare way of a loop costs the other way nothing; values are saved around it.
;;! show: ra asm
;;! allocator: splitting
;;! run: f 20 => 199
(module
  (func $odd (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))
  (func $f (export "f") (param $n i32) (result i32) (local $s i32) (local $i i32)
    (loop $next
      (local.set $s (i32.add (local.get $s) (local.get $i)))
      (if (i32.eqz (i32.and (local.get $i) (i32.const 7)))
        (then (local.set $s (call $odd (local.get $s)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $s)))
