;; An own global lies in the context; a constant one is read like any other.
;;! show: minst asm
;;! run: next => 8
(module (global $g (mut i32) (i32.const 7))
  (func $next (export "next") (result i32)
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (global.get $g)))
