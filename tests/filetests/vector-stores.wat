;; A lane is stored by the instruction that takes it, of whatever width; a load into each lane is one instruction where
;; there is AVX.
;;! show: minst asm
;;! cpu: avx
;;! passes: fold share loads
;;! machine: level 1
;;! allocator: splitting
;;! run: lanes 0x11223344 => -1842871015
;;! run: floats 1.5 => 3.0
;;! run: outside 65533 => trap memory_out_of_bounds
(module
  (memory 1)
  (func $lanes (export "lanes") (param i32) (result i32) (local v128)
    (local.set 1 (i32x4.add (i32x4.splat (local.get 0)) (v128.const i8x16 0 0 0 0 1 1 1 1 2 2 2 2 0x22 0x22 3 3)))
    (v128.store8_lane 12 (i32.const 100) (local.get 1))
    (v128.store16_lane 6 (i32.const 102) (local.get 1))
    (v128.store32_lane 0 (i32.const 104) (local.get 1))
    (v128.store32_lane 3 (i32.const 108) (local.get 1))
    (v128.store64_lane 0 (i32.const 112) (local.get 1))
    (v128.store64_lane 1 (i32.const 120) (local.get 1))
    (local.set 0 (i32.load (i32.const 100)))
    (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (i32.const 104))))
    (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (i32.const 108))))
    (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (i32.const 112))))
    (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (i32.const 116))))
    (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (i32.const 120))))
    (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.load (i32.const 124))))
  (func $floats (export "floats") (param f32) (result f32) (local v128)
    (local.set 1 (f32x4.add (f32x4.splat (local.get 0)) (v128.const f32x4 0 1.5 2 3)))
    (f32.store (i32.const 8) (f32x4.extract_lane 1 (local.get 1)))
    (f32x4.extract_lane 2 (v128.load32_splat (i32.const 8))))
  (func $outside (export "outside") (param i32)
    (v128.store32_lane 1 (local.get 0) (v128.const i64x2 1 2))))
