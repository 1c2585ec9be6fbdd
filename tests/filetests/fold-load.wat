;; A load with one use, as wide as its user, becomes the user's memory operand.
;;! show: minst asm
;;! machine: fold-loads
;;! run: add 4 0 => 11
;;! run: less 4 0 => 1
;;! run: scale 0 2 => 14
(module (memory 1) (data (i32.const 0) "\07")
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (i32.load (local.get 1))))
  (func $less (export "less") (param i32 i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.load (local.get 1))) (then (i32.const 1)) (else (i32.const 0))))
  (func $scale (export "scale") (param i32 i32) (result i32) (i32.mul (i32.load (local.get 0)) (local.get 1))))
