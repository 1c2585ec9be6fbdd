;; A constant is stored as an immediate, of as many bytes as the store has; a 64-bit one that does not fit is not.
;;! show: minst asm
(module (memory 1) (func $f (param i32)
  (i32.store (local.get 0) (i32.const 7))
  (i32.store8 (local.get 0) (i32.const -1))
  (i64.store (local.get 0) (i64.const -2))
  (i64.store (local.get 0) (i64.const 0x123456789abc))))
