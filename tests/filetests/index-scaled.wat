;; An access does the short shift of its address itself, where that loses no bit: behind a load of a byte or word, a
;; mask or a shift to the right. A wide one wraps at 32 bits, so it stays; what else uses the shift needs it, too.
;;! show: asm
;;! machine: lea fold-loads
;;! run: byte 0 => 2
;;! run: mask 65538 => 3
;;! run: right 32 => 3
;;! run: wide 1073741826 => 3
;;! run: wide 2 => 3
;;! run: other 2 => 11
;;! run: both 2 => 5
;;! run: edge 536870913 => trap memory_out_of_bounds
(module
  (memory 1)
  (data (i32.const 0) "\01\00\00\00\02\00\00\00\03\00\00\00\04")
  (func (export "byte") (param i32) (result i32)
    (i32.load (i32.shl (i32.load8_u (local.get 0)) (i32.const 2))))
  (func (export "mask") (param i32) (result i32)
    (i32.load (i32.shl (i32.and (local.get 0) (i32.const 0xff)) (i32.const 2))))
  (func (export "right") (param i32) (result i32)
    (i32.load (i32.shl (i32.shr_u (local.get 0) (i32.const 4)) (i32.const 2))))
  (func (export "wide") (param i32) (result i32)
    (i32.load (i32.shl (i32.and (local.get 0) (i32.const 0x7fffffff)) (i32.const 2))))
  (func (export "edge") (param i32) (result i32)
    (i32.load (i32.shl (i32.and (local.get 0) (i32.const 0x3fffffff)) (i32.const 2))))
  (func (export "other") (param i32) (result i32)
    (local i32)
    (local.set 1 (i32.shl (i32.and (local.get 0) (i32.const 0xff)) (i32.const 2)))
    (i32.add (i32.load (local.get 1)) (i32.mul (local.get 1) (i32.const 1))))
  (func (export "both") (param i32) (result i32)
    (local i32)
    (local.set 1 (i32.shl (i32.and (local.get 0) (i32.const 0xff)) (i32.const 2)))
    (i32.store offset=64 (local.get 1) (i32.const 2))
    (i32.add (i32.load (local.get 1)) (i32.load offset=64 (local.get 1)))))
