;; Masks of everything, lanes that were put where they are taken from, shuffles that move nothing: nothing is left but a
;; sum, one shuffle that was a choice by words, and one that was a swizzle.
;;! show: opt
;;! passes: fold share
;;! run: all 1 2 => 8589934595
(module
  (func $all (export "all") (param i64 i64) (result i64) (local v128 v128)
    (local.set 2 (i64x2.splat (local.get 0)))
    (local.set 3 (i64x2.splat (local.get 1)))
    (local.set 2 (v128.and (v128.const i64x2 -1 -1) (v128.not (v128.not (local.get 2)))))
    (local.set 2 (v128.bitselect (local.get 2) (local.get 3) (v128.const i32x4 0 -1 -1 0)))
    (local.set 3 (i8x16.swizzle (local.get 3) (v128.const i8x16 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3)))
    (local.set 2 (i32x4.replace_lane 3 (local.get 2) (i32x4.extract_lane 3 (local.get 2))))
    (local.set 2 (i8x16.shuffle 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 (local.get 3) (local.get 2)))
    (i64x2.extract_lane 0 (i64x2.add (local.get 2) (v128.or (local.get 3) (v128.const i64x2 0 0))))
    (i64x2.extract_lane 1 (i64x2.splat (i64.extend_i32_u (i32x4.extract_lane 2 (i32x4.splat (i32.wrap_i64 (local.get 0)))))))
    i64.add))
