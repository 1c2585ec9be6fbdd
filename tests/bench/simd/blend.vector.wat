(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 17408))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32)
    (local v128 v128 v128 v128 v128 v128)
    i32.const 31
    local.set 1
    i32.const -4096
    local.set 2
    loop
      local.get 2
      i32.const 5120
      i32.add
      local.get 1
      i32.const 13
      i32.shl
      local.get 1
      i32.xor
      local.tee 1
      i32.const 17
      i32.shr_u
      local.get 1
      i32.xor
      local.tee 1
      i32.const 5
      i32.shl
      local.get 1
      i32.xor
      local.tee 1
      i32.const 24
      i32.shr_u
      i32.store8
      local.get 2
      i32.const 9216
      i32.add
      local.get 1
      i32.const 13
      i32.shl
      local.get 1
      i32.xor
      local.tee 1
      i32.const 17
      i32.shr_u
      local.get 1
      i32.xor
      local.tee 1
      i32.const 5
      i32.shl
      local.get 1
      i32.xor
      local.tee 1
      i32.const 24
      i32.shr_u
      i32.store8
      local.get 2
      i32.const 13312
      i32.add
      local.get 1
      i32.const 13
      i32.shl
      local.get 1
      i32.xor
      local.tee 1
      i32.const 17
      i32.shr_u
      local.get 1
      i32.xor
      local.tee 1
      i32.const 5
      i32.shl
      local.get 1
      i32.xor
      local.tee 1
      i32.const 24
      i32.shr_u
      i32.store8
      local.get 2
      i32.const 1
      i32.add
      local.tee 3
      local.get 2
      i32.lt_u
      local.set 4
      local.get 3
      local.set 2
      local.get 4
      i32.eqz
      br_if 0
    end
    block
      local.get 0
      i32.const 1
      i32.lt_s
      br_if 0
      i32.const 0
      local.set 3
      loop
        i32.const -16
        local.set 2
        loop
          local.get 2
          i32.const 5136
          i32.add
          local.tee 1
          local.get 2
          i32.const 9232
          i32.add
          v128.load
          local.tee 5
          local.get 2
          i32.const 1040
          i32.add
          v128.load
          local.tee 6
          i16x8.extmul_low_i8x16_u
          local.get 5
          v128.not
          local.tee 7
          local.get 1
          v128.load
          local.tee 8
          i16x8.extmul_low_i8x16_u
          i16x8.add
          v128.const i32x4 0x00800080 0x00800080 0x00800080 0x00800080
          local.tee 9
          i16x8.add
          local.tee 10
          i32.const 8
          i16x8.shr_u
          local.get 10
          i16x8.add
          i32.const 8
          i16x8.shr_u
          local.get 5
          local.get 6
          i16x8.extmul_high_i8x16_u
          local.get 7
          local.get 8
          i16x8.extmul_high_i8x16_u
          i16x8.add
          local.get 9
          i16x8.add
          local.tee 5
          i32.const 8
          i16x8.shr_u
          local.get 5
          i16x8.add
          i32.const 8
          i16x8.shr_u
          i8x16.narrow_i16x8_u
          v128.store
          local.get 2
          i32.const 16
          i32.add
          local.tee 2
          i32.const 4080
          i32.lt_u
          br_if 0
        end
        local.get 3
        i32.const 4095
        i32.and
        i32.const 1024
        i32.add
        local.tee 2
        local.get 2
        i32.load8_u
        local.get 3
        i32.const 7
        i32.mul
        i32.const 4095
        i32.and
        i32.const 5120
        i32.add
        i32.load8_u
        i32.xor
        i32.store8
        local.get 3
        i32.const 1
        i32.add
        local.tee 3
        local.get 0
        i32.ne
        br_if 0
      end
    end
    i32.const 0
    local.set 1
    i32.const -4096
    local.set 2
    loop
      local.get 2
      i32.const 9220
      i32.add
      i32.load
      local.get 2
      i32.const 9216
      i32.add
      i32.load
      local.get 1
      i32.const 5
      i32.rotl
      i32.xor
      i32.const 5
      i32.rotl
      i32.xor
      local.set 1
      local.get 2
      i32.const 8
      i32.add
      local.tee 2
      br_if 0
    end
    local.get 1))
