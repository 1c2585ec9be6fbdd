;; Narrow loads extend in one instruction; an unsigned one into i64 is a 32-bit load, which clears the upper half.
;;! show: asm
;;! run: s8 0 => -1
;;! run: u8 0 => 255
;;! run: u32 0 => 4294967295
;;! run: s32 0 => -1
(module (memory 1) (data (i32.const 0) "\ff\ff\ff\ff")
  (func $s8 (export "s8") (param i32) (result i32) (i32.load8_s (local.get 0)))
  (func $u8 (export "u8") (param i32) (result i64) (i64.load8_u (local.get 0)))
  (func $u32 (export "u32") (param i32) (result i64) (i64.load32_u (local.get 0)))
  (func $s32 (export "s32") (param i32) (result i64) (i64.load32_s (local.get 0))))
