;; Constants of 32 bits are immediates, also on the left of what commutes; wider ones need a register first.
;;! show: minst asm
;;! run: right 1 => 100001
;;! run: left 1 => 100001
;;! run: from 1 => 99999
;;! run: wide 1 => 1311768467463790321
(module
  (func $right (export "right") (param i32) (result i32) (i32.add (local.get 0) (i32.const 100000)))
  (func $left (export "left") (param i32) (result i32) (i32.add (i32.const 100000) (local.get 0)))
  (func $from (export "from") (param i32) (result i32) (i32.sub (i32.const 100000) (local.get 0)))
  (func $wide (export "wide") (param i64) (result i64) (i64.add (local.get 0) (i64.const 0x123456789abcdef0))))
