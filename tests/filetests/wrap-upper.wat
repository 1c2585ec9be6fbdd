;; The upper half of an i64 as i32 is the shifted i64 itself: no copy. Where bits may be above, the copy clears them.
;;! show: minst
;;! run: tag -4294967296 => -1
;;! run: tag 30064771079 => 7
;;! run: more -1 => 255
;;! run: less -1 => -1
;;! run: both 4294967298 => 4294967299
;;! run: across -4294967295 => 8589934590
;;! run: address -9223372030412324864 => 42
(module
  (memory 1) (data (i32.const 3) "*")
  (func $tag (export "tag") (param i64) (result i32)
    (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 32))))
  (func $more (export "more") (param i64) (result i32)
    (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 120))))
  (func $less (export "less") (param i64) (result i32)
    (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 31))))
  (func $both (export "both") (param i64) (result i64) (local $s i64)
    (local.set $s (i64.shr_u (local.get 0) (i64.const 32)))
    (i64.add (i64.add (local.get 0) (local.get $s))
      (i64.extend_i32_u (i32.sub (i32.wrap_i64 (local.get $s)) (i32.const 1)))))
  (func $across (export "across") (param i64) (result i64) (local $s i64) (local $t i32)
    (local.set $s (i64.shr_u (local.get 0) (i64.const 32)))
    (local.set $t (i32.wrap_i64 (local.get $s)))
    (call $nothing)
    (i64.add (local.get $s) (i64.extend_i32_u (local.get $t))))
  (func $nothing (if (i32.const 0) (then (call $nothing))))
  (func $address (export "address") (param i64) (result i32)
    (i32.load8_u (i32.wrap_i64 (i64.shr_u (local.get 0) (i64.const 31))))))
