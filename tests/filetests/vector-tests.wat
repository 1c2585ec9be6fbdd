;; Whether two vectors have a bit in common, and whether one has a bit that the other has not, are one ptest each.
;;! show: minst asm
;;! cpu: avx
;;! run: common 12 4 => 1
;;! run: common 12 3 => 7
;;! run: without 12 4 => 1
;;! run: without 12 12 => 0
;;! run: known 8 => 1
;;! run: known 7 => 0
(module
  (func $common (export "common") (param i64 i64) (result i32)
    (if (result i32) (v128.any_true (v128.and (i64x2.splat (local.get 0)) (i64x2.splat (local.get 1))))
      (then (i32.const 1)) (else (i32.const 7))))
  (func $without (export "without") (param i64 i64) (result i32)
    (v128.any_true (v128.andnot (i64x2.splat (local.get 0)) (i64x2.splat (local.get 1)))))
  (func $known (export "known") (param i64) (result i32)
    (v128.any_true (v128.and (v128.const i64x2 8 8) (i64x2.splat (local.get 0))))))
