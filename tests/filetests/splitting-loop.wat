;; The splitting allocator: a value that waits out a loop lives in the frame, not in a register that the loop needs.
;;! show: ra
;;! allocator: splitting
;;! run: f 5 7 => 42
(module
  (func $g (param i32) (result i32) (local.get 0))
  (func $f (export "f") (param $n i32) (param $later i32) (result i32) (local $s i32)
    (loop $next
      (local.set $s (i32.add (local.get $s) (call $g (local.get $n))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (i32.mul (local.get $s) (i32.const 2)) (i32.add (local.get $later) (i32.const 5)))))
