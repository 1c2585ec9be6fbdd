(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 4)
  (global (;0;) (mut i32) (i32.const 201728))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (local v128 v128 v128 v128 v128)
    i32.const 3
    local.set 1
    i32.const 0
    local.set 2
    i32.const 0
    local.set 3
    loop
      i32.const 0
      local.set 4
      loop
        local.get 2
        local.get 4
        i32.add
        local.tee 5
        i32.const 1024
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
        local.get 5
        i32.const 66560
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
        local.get 4
        i32.const 4
        i32.add
        local.tee 4
        i32.const 512
        i32.ne
        br_if 0
      end
      local.get 2
      i32.const 512
      i32.add
      local.set 2
      local.get 3
      i32.const 1
      i32.add
      local.tee 3
      i32.const 128
      i32.ne
      br_if 0
    end
    block
      local.get 0
      i32.const 1
      i32.lt_s
      br_if 0
      i32.const 0
      local.set 6
      loop
        local.get 6
        i32.const 127
        i32.and
        local.set 7
        i32.const 1024
        local.set 8
        i32.const 0
        local.set 9
        loop
          i32.const 0
          local.set 10
          i32.const 66560
          local.set 2
          loop
            local.get 9
            i32.const 9
            i32.shl
            local.tee 11
            local.get 10
            i32.const 2
            i32.shl
            i32.add
            i32.const 132096
            i32.add
            local.set 3
            local.get 8
            local.set 1
            i32.const 0
            local.set 5
            v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
            local.tee 12
            local.set 13
            local.get 12
            local.set 14
            local.get 12
            local.set 15
            loop
              local.get 15
              local.get 1
              v128.load32_splat
              local.tee 16
              local.get 2
              local.get 5
              i32.add
              local.tee 4
              v128.load
              f32x4.mul
              f32x4.add
              local.set 15
              local.get 12
              local.get 16
              local.get 4
              i32.const 48
              i32.add
              v128.load
              f32x4.mul
              f32x4.add
              local.set 12
              local.get 13
              local.get 16
              local.get 4
              i32.const 32
              i32.add
              v128.load
              f32x4.mul
              f32x4.add
              local.set 13
              local.get 14
              local.get 16
              local.get 4
              i32.const 16
              i32.add
              v128.load
              f32x4.mul
              f32x4.add
              local.set 14
              local.get 1
              i32.const 4
              i32.add
              local.set 1
              local.get 5
              i32.const 512
              i32.add
              local.tee 5
              i32.const 65536
              i32.ne
              br_if 0
            end
            local.get 3
            local.get 12
            v128.store offset=48
            local.get 3
            local.get 13
            v128.store offset=32
            local.get 3
            local.get 14
            v128.store offset=16
            local.get 3
            local.get 15
            v128.store
            local.get 2
            i32.const 64
            i32.add
            local.set 2
            local.get 10
            i32.const 112
            i32.lt_u
            local.set 4
            local.get 10
            i32.const 16
            i32.add
            local.set 10
            local.get 4
            br_if 0
          end
          local.get 11
          local.get 7
          i32.const 2
          i32.shl
          i32.or
          i32.const 1024
          i32.add
          local.tee 4
          local.get 11
          i32.const 132096
          i32.add
          f32.load
          f32.const 0.0078125
          f32.mul
          local.get 4
          f32.load
          f32.add
          f32.store
          local.get 8
          i32.const 512
          i32.add
          local.set 8
          local.get 9
          i32.const 1
          i32.add
          local.tee 9
          i32.const 128
          i32.ne
          br_if 0
        end
        local.get 6
        i32.const 1
        i32.add
        local.tee 6
        local.get 0
        i32.ne
        br_if 0
      end
    end
    i32.const 0
    local.set 1
    i32.const -65536
    local.set 4
    loop
      local.get 4
      i32.const 197636
      i32.add
      i32.load
      local.get 4
      i32.const 197632
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
      local.get 4
      i32.const 8
      i32.add
      local.tee 4
      br_if 0
    end
    local.get 1))
