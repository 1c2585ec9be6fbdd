;; What is added to and still used is not copied first: an address computation leaves it as it is, and so it does for
;; what is shifted by up to 3. Where the flags of the sum are asked for it stays a sum. A shift that only additions use
;; is part of each of them; one that something else uses, too, is computed.
;;! show: asm
;;! machine: level 1
;;! allocator: splitting
;;! run: number 3 => 44
;;! run: register 3 1000 => 3000
;;! run: wide 3 -100000000000 => -100000000000
;;! run: flags 3 => 2
;;! run: shifted 3 => 192
;;! run: both 1 2 3 => 17 19
;;! run: more 1 2 => 272
(module
  (func (export "number") (param i32) (result i32)
    (local i32)
    (loop
      (local.set 1 (i32.add (local.get 1) (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 5)))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "register") (param i32 i32) (result i32)
    (local i32)
    (loop
      (local.set 2 (i32.add (local.get 2) (i32.xor (local.get 0) (i32.add (local.get 0) (local.get 1)))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 2))
  (func (export "wide") (param i64 i64) (result i64)
    (local i64)
    (loop
      (local.set 2 (i64.xor (local.get 2) (i64.add (local.get 0) (local.get 1))))
      (br_if 0 (i32.wrap_i64 (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
    (local.get 2))
  (func (export "flags") (param i32) (result i32)
    (local i32 i32)
    (loop
      (local.set 1 (i32.add (local.get 0) (i32.const -2)))
      (if (local.get 1) (then (local.set 2 (i32.add (local.get 2) (i32.mul (local.get 1) (local.get 1))))))
      (local.set 2 (i32.add (local.get 2) (local.get 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 2))
  (func (export "shifted") (param i32) (result i32)
    (local i32)
    (loop
      (local.set 1 (i32.xor (local.get 1) (i32.xor (local.get 0) (i32.shl (local.get 0) (i32.const 2)))))
      (local.set 1 (i32.xor (local.get 1) (i32.mul (local.get 0) (i32.shl (local.get 0) (i32.const 4)))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "both") (param i32 i32 i32) (result i32 i32)
    (local i32)
    (local.set 3 (i32.shl (local.get 2) (i32.const 3)))
    (i32.sub (i32.add (local.get 0) (local.get 3)) (i32.const 8))
    (i32.sub (i32.add (local.get 1) (local.get 3)) (i32.const 7)))
  (func (export "more") (param i32 i32) (result i32)
    (local i32)
    (local.set 2 (i32.shl (local.get 1) (i32.const 3)))
    (i32.mul (i32.add (local.get 0) (local.get 2)) (local.get 2))))
