;; A sum whose carry another one takes is no address computation, though what it adds to lives on; and one
;; multiplication gives both halves of a product, signed or not.
;;! show: asm
;;! machine: level 1
;;! allocator: splitting
;;! run: register 4 1 -3 => 4 2
;;! run: number 4 -4 => -8 2
;;! run: shifted 4 -23 => 30 3
;;! run: products 3 -2 -9 => 45 -36
(module
  (func (export "register") (param i64 i64 i64) (result i64 i64) (local i64 i64 i64)
    (loop
      (local.set 5 (i64.add (local.get 1) (local.get 2)))
      (local.set 4 (i64.add (local.get 4) (i64.extend_i32_u (i64.lt_u (local.get 5) (local.get 1)))))
      (local.set 3 (i64.add (i64.xor (local.get 3) (local.get 5)) (local.get 1)))
      (local.set 1 (i64.sub (local.get 1) (i64.const 1)))
      (br_if 0 (i32.wrap_i64 (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
    (local.get 3) (local.get 4))
  (func (export "number") (param i64 i64) (result i64 i64) (local i64 i64 i64)
    (loop
      (local.set 4 (i64.add (local.get 1) (i64.const 5)))
      (local.set 3 (i64.add (local.get 3) (i64.extend_i32_u (i64.lt_u (local.get 4) (local.get 1)))))
      (local.set 2 (i64.add (i64.xor (local.get 2) (local.get 4)) (local.get 1)))
      (local.set 1 (i64.sub (local.get 1) (i64.const 1)))
      (br_if 0 (i32.wrap_i64 (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
    (local.get 2) (local.get 3))
  (func (export "shifted") (param i64 i64) (result i64 i64) (local i64 i64 i64 i64)
    (loop
      (local.set 5 (i64.shl (local.get 1) (i64.const 2)))
      (local.set 4 (i64.add (local.get 5) (i64.const 100)))
      (local.set 3 (i64.add (local.get 3) (i64.extend_i32_u (i64.lt_u (local.get 4) (local.get 5)))))
      (local.set 2 (i64.add (i64.xor (local.get 2) (local.get 4)) (local.get 1)))
      (local.set 1 (i64.sub (local.get 1) (i64.const 1)))
      (br_if 0 (i32.wrap_i64 (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
    (local.get 2) (local.get 3))
  (func (export "products") (param i64 i64 i64) (result i64 i64) (local i64 i64)
    (loop
      (i64.mul_wide_u (local.get 1) (local.get 2))
      (local.set 4 (i64.add (local.get 4)))
      (local.set 3 (i64.xor (local.get 3)))
      (i64.mul_wide_s (local.get 2) (local.get 1))
      (local.set 4 (i64.add (local.get 4)))
      (drop)
      (local.set 1 (i64.sub (local.get 1) (i64.const 1)))
      (br_if 0 (i32.wrap_i64 (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))
    (local.get 3) (local.get 4)))
