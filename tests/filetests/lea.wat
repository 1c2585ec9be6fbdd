;; The sum of a value and one shifted by 1 to 3 is one address computation; by 4 it is not.
;;! show: minst asm
;;! machine: lea
;;! run: eight 1 2 => 17
;;! run: sixteen 1 2 => 33
(module
  (func $eight (export "eight") (param i32 i32) (result i32)
    (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 3))))
  (func $sixteen (export "sixteen") (param i32 i32) (result i32)
    (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 4)))))
