;; With BMI2 a variable shift has three operands and any register for the count; rotations do not.
;;! show: minst asm
;;! cpu: bmi2
;;! run: shl 3 33 => 6
;;! run: sar -8 1 => -4
;;! run: rotl 1 4 => 16
(module
  (func $shl (export "shl") (param i32 i32) (result i32) (i32.shl (local.get 0) (local.get 1)))
  (func $sar (export "sar") (param i64 i64) (result i64) (i64.shr_s (local.get 0) (local.get 1)))
  (func $rotl (export "rotl") (param i32 i32) (result i32) (i32.rotl (local.get 0) (local.get 1))))
