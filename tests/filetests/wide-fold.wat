;; The upper half of a product is folded, found again whichever way its operands stand, shifted out where one is a power
;; of two, and 0 where 64 bits hold the product.
;;! show: opt
;;! passes: fold share
;;! run: folded => -2 -15
;;! run: again -1 -1 => 2 -4
;;! run: power -1 => 7 -1
;;! run: narrow -1 -1 => 0
;;! run: wider -1 -1 => 1
(module
  (func (export "folded") (result i64 i64) (local i64)
    (local.set 0 (i64.mul_wide_u (i64.const -1) (i64.const -1))) (drop)
    (local.get 0)
    (local.set 0 (i64.mul_wide_s (i64.const 0x4000000000000000) (i64.const -60))) (drop)
    (local.get 0))
  (func (export "again") (param i64 i64) (result i64 i64)
    (i64.add128 (i64.mul_wide_u (local.get 0) (local.get 1)) (i64.mul_wide_u (local.get 1) (local.get 0))))
  (func (export "power") (param i64) (result i64 i64) (local i64)
    (local.set 1 (i64.mul_wide_u (local.get 0) (i64.const 8))) (drop)
    (local.get 1)
    (local.set 1 (i64.mul_wide_s (local.get 0) (i64.const 8))) (drop)
    (local.get 1))
  (func (export "narrow") (param i32 i32) (result i64) (local i64)
    (local.set 2 (i64.mul_wide_u (i64.extend_i32_u (local.get 0)) (i64.extend_i32_u (local.get 1)))) (drop)
    (local.get 2))
  (func (export "wider") (param i64 i32) (result i64) (local i64)
    (local.set 2 (i64.mul_wide_u (i64.shr_u (local.get 0) (i64.const 31)) (i64.extend_i32_u (local.get 1)))) (drop)
    (local.get 2)))
