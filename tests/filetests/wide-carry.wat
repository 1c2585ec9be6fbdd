;; The carry of a sum, and the borrow of a difference, stay in the carry flag where another sum takes them: the first is
;; computed where that is, unless something between uses it; then it is compared, and so is what is no sum.
;;! show: asm
;;! run: add 5 6 7 8 => 12 14
;;! run: sub 5 6 7 8 => -2 -3
;;! run: add -1 1 1 1 => 0 3
;;! run: sub -1 1 1 1 => -2 0
;;! run: add -1 -1 -1 -1 => -2 -1
;;! run: sub -1 -1 -1 -1 => 0 0
;;! run: sub 0 0 1 0 => -1 -1
;;! run: narrow -1 -1 => -2 1
;;! run: narrow 1 2 => 3 0
;;! run: number -1 3 => 6 4
;;! run: number -8 3 => -1 3
;;! run: used -1 2 5 => 4
;;! run: mirrored -1 2 5 => 6
;;! run: own -1 2 5 => 7
;;! run: twice -1 2 5 => 6 3
;;! run: used 1 2 5 => 7
;;! run: mirrored 1 2 5 => 5
;;! run: own 1 2 5 => 8
;;! run: twice 1 2 5 => 5 2
;;! run: below 5 9 => 6
;;! run: above 5 9 => 5
;;! run: word 5 9 => 6
;;! run: below 5 10 => 5
;;! run: above 5 10 => 5
;;! run: word 5 10 => 5
;;! run: below 5 11 => 5
;;! run: above 5 11 => 4
;;! run: word 5 11 => 5
;;! run: borrow 5 1 2 => 4
;;! run: borrow 5 2 1 => 5
;;! run: borrow 0 1 2 => -1
;;! run: signed 5 -1 1 => 6
;;! run: signed 5 1 -1 => 5
;;! run: three -1 -1 -1 1 0 0 => 0 0 0
;;! run: three -1 5 7 2 5 8 => 1 11 15
(module
  (func (export "add") (param i64 i64 i64 i64) (result i64 i64)
    (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "sub") (param i64 i64 i64 i64) (result i64 i64)
    (i64.sub128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "narrow") (param i64 i64) (result i64 i64)
    (i64.add128 (local.get 0) (i64.const 0) (local.get 1) (i64.const 0)))
  (func (export "number") (param i64 i64) (result i64 i64)
    (i64.add128 (local.get 0) (local.get 1) (i64.const 7) (i64.const 0)))
  (func (export "used") (param i64 i64 i64) (result i64) (local i64 i64)
    (local.set 3 (i64.add (local.get 0) (local.get 1)))
    (local.set 4 (i64.xor (local.get 3) (local.get 0)))
    (i64.add (i64.add (local.get 2) (i64.extend_i32_u (i64.lt_u (local.get 3) (local.get 0)))) (local.get 4)))
  (func (export "mirrored") (param i64 i64 i64) (result i64)
    (i64.add (i64.extend_i32_u (i64.gt_u (local.get 1) (i64.add (local.get 0) (local.get 1)))) (local.get 2)))
  (func (export "own") (param i64 i64 i64) (result i64) (local i64)
    (local.set 3 (i64.add (local.get 0) (local.get 1)))
    (i64.add (i64.add (local.get 3) (local.get 2)) (i64.extend_i32_u (i64.lt_u (local.get 3) (local.get 0)))))
  (func (export "twice") (param i64 i64 i64) (result i64 i64) (local i64)
    (local.set 3 (i64.add (local.get 0) (local.get 1)))
    (i64.add (local.get 2) (i64.extend_i32_u (i64.lt_u (local.get 3) (local.get 0))))
    (i64.add (local.get 1) (i64.extend_i32_u (i64.lt_u (local.get 3) (local.get 0)))))
  (func (export "below") (param i64 i64) (result i64)
    (i64.add (local.get 0) (i64.extend_i32_u (i64.lt_u (local.get 1) (i64.const 10)))))
  (func (export "above") (param i64 i64) (result i64)
    (i64.sub (local.get 0) (i64.extend_i32_u (i64.gt_u (local.get 1) (i64.const 10)))))
  (func (export "word") (param i64 i64) (result i64)
    (i64.add (local.get 0) (i64.extend_i32_u (i32.lt_u (i32.wrap_i64 (local.get 1)) (i32.const 10)))))
  (func (export "borrow") (param i64 i64 i64) (result i64)
    (i64.sub (local.get 0) (i64.extend_i32_u (i64.lt_u (local.get 1) (local.get 2)))))
  (func (export "signed") (param i64 i64 i64) (result i64)
    (i64.add (local.get 0) (i64.extend_i32_u (i64.lt_s (local.get 1) (local.get 2)))))
  (func (export "three") (param i64 i64 i64 i64 i64 i64) (result i64 i64 i64) (local i64)
    (i64.add128 (local.get 0) (i64.const 0) (local.get 3) (i64.const 0))
    (local.set 3)
    (i64.add128 (local.get 1) (i64.const 0) (local.get 3) (i64.const 0))
    (local.set 3) (local.set 1)
    (i64.add128 (local.get 1) (local.get 3) (local.get 4) (i64.const 0))
    (local.set 3)
    (i64.add (i64.add (local.get 2) (local.get 5)) (local.get 3))))
