;; A shadow stack pointer moved by a helper in a loop, and a generator whose state is a global: run(n) = the last number.
(module
  (memory 2)
  (global $__stack_pointer (mut i32) (i32.const 65536))
  (global $state (mut i32) (i32.const 1))
  ;; unsigned next(unsigned mask) { unsigned pair[2]; pair[0] = x; pair[1] = mask; return pair[0] ^ pair[1]; }
  (func $mix (param $x i32) (param $mask i32) (result i32) (local $frame i32) (local $result i32)
    (global.set $__stack_pointer (local.tee $frame (i32.sub (global.get $__stack_pointer) (i32.const 16))))
    (i32.store offset=8 (local.get $frame) (local.get $x))
    (i32.store offset=12 (local.get $frame) (local.get $mask))
    (local.set $result (i32.xor (i32.load offset=8 (local.get $frame)) (i32.load offset=12 (local.get $frame))))
    (global.set $__stack_pointer (i32.add (local.get $frame) (i32.const 16)))
    (local.get $result))
  (func $step (param $x i32)
    (global.set $state (i32.rotl (i32.xor (global.get $state) (local.get $x)) (i32.const 5))))
  (func (export "run") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $frames
      (local.set $sum (i32.add (local.get $sum) (call $mix (local.get $i) (local.get $n))))
      (br_if $frames (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (loop $numbers
      (call $step (local.get $i))
      (br_if $numbers (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.add (local.get $sum) (global.get $state))))
