(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 37888))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32)
    (local v128 v128 v128 v128)
    (local i32)
    i32.const 7
    local.set 1
    i32.const -16384
    local.set 2
    loop
      local.get 2
      i32.const 17408
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
      f32.convert_i32_s
      f32.const 4.656613e-10
      f32.mul
      f32.store
      local.get 2
      i32.const 33792
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
      f32.convert_i32_s
      f32.const 4.656613e-10
      f32.mul
      f32.store
      local.get 2
      i32.const 4
      i32.add
      local.tee 2
      br_if 0
    end
    block
      block
        local.get 0
        i32.const 1
        i32.ge_s
        br_if 0
        v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
        local.tee 3
        local.set 4
        local.get 3
        local.set 5
        local.get 3
        local.set 6
        br 1
      end
      i32.const 0
      local.set 7
      v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
      local.tee 3
      local.set 4
      local.get 3
      local.set 5
      local.get 3
      local.set 6
      loop
        i32.const -16
        local.set 1
        i32.const 0
        local.set 2
        loop
          local.get 3
          local.get 2
          i32.const 1072
          i32.add
          v128.load
          local.get 2
          i32.const 17456
          i32.add
          v128.load
          f32x4.mul
          f32x4.add
          local.set 3
          local.get 4
          local.get 2
          i32.const 1056
          i32.add
          v128.load
          local.get 2
          i32.const 17440
          i32.add
          v128.load
          f32x4.mul
          f32x4.add
          local.set 4
          local.get 5
          local.get 2
          i32.const 1040
          i32.add
          v128.load
          local.get 2
          i32.const 17424
          i32.add
          v128.load
          f32x4.mul
          f32x4.add
          local.set 5
          local.get 6
          local.get 2
          i32.const 1024
          i32.add
          v128.load
          local.get 2
          i32.const 17408
          i32.add
          v128.load
          f32x4.mul
          f32x4.add
          local.set 6
          local.get 2
          i32.const 64
          i32.add
          local.set 2
          local.get 1
          i32.const 16
          i32.add
          local.tee 1
          i32.const 4080
          i32.lt_u
          br_if 0
        end
        local.get 7
        i32.const 1
        i32.add
        local.tee 7
        local.get 0
        i32.ne
        br_if 0
      end
    end
    local.get 6
    i32x4.extract_lane 1
    local.get 6
    i32x4.extract_lane 0
    i32.const 5
    i32.rotl
    i32.xor
    i32.const 5
    i32.rotl
    local.get 6
    i32x4.extract_lane 2
    i32.xor
    i32.const 5
    i32.rotl
    local.get 6
    i32x4.extract_lane 3
    i32.xor
    i32.const 5
    i32.rotl
    local.get 5
    i32x4.extract_lane 0
    i32.xor
    i32.const 5
    i32.rotl
    local.get 5
    i32x4.extract_lane 1
    i32.xor
    i32.const 5
    i32.rotl
    local.get 5
    i32x4.extract_lane 2
    i32.xor
    i32.const 5
    i32.rotl
    local.get 5
    i32x4.extract_lane 3
    i32.xor
    i32.const 5
    i32.rotl
    local.get 4
    i32x4.extract_lane 0
    i32.xor
    i32.const 5
    i32.rotl
    local.get 4
    i32x4.extract_lane 1
    i32.xor
    i32.const 5
    i32.rotl
    local.get 4
    i32x4.extract_lane 2
    i32.xor
    i32.const 5
    i32.rotl
    local.get 4
    i32x4.extract_lane 3
    i32.xor
    i32.const 5
    i32.rotl
    local.get 3
    i32x4.extract_lane 0
    i32.xor
    i32.const 5
    i32.rotl
    local.get 3
    i32x4.extract_lane 1
    i32.xor
    i32.const 5
    i32.rotl
    local.get 3
    i32x4.extract_lane 2
    i32.xor
    i32.const 5
    i32.rotl
    local.get 3
    i32x4.extract_lane 3
    i32.xor))
