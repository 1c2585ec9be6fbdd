;; promote: a loop keeps a global in a value up to its last way back; behind that the global is what it was, and what a
;; construct holds there may call.
;;! show: opt
;;! passes: cfg share loads promote
;;! run: f 3 => 172
(module (global $state (mut i32) (i32.const 1))
  (func $more (result i32) (i32.add (global.get $state) (i32.const 11)))
  (func $f (export "f") (param $n i32) (result i32) (local $s i32)
    (loop $l
      (global.set $state (i32.add (i32.mul (global.get $state) (i32.const 5)) (i32.const 1)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
      (global.set $state (i32.add (global.get $state) (i32.const 5)))
      (local.set $s (call $more)))
    (local.get $s)))
