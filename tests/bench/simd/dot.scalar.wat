(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 37888))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    global.get 0
    i32.const 64
    i32.sub
    local.tee 1
    i32.const 56
    i32.add
    i64.const 0
    i64.store
    local.get 1
    i32.const 48
    i32.add
    i64.const 0
    i64.store
    local.get 1
    i32.const 40
    i32.add
    i64.const 0
    i64.store
    local.get 1
    i32.const 32
    i32.add
    i64.const 0
    i64.store
    local.get 1
    i32.const 24
    i32.add
    i64.const 0
    i64.store
    local.get 1
    i32.const 16
    i32.add
    i64.const 0
    i64.store
    local.get 1
    i64.const 0
    i64.store offset=8
    local.get 1
    i64.const 0
    i64.store
    i32.const 7
    local.set 2
    i32.const -16384
    local.set 3
    loop
      local.get 3
      i32.const 17408
      i32.add
      local.get 2
      i32.const 13
      i32.shl
      local.get 2
      i32.xor
      local.tee 2
      i32.const 17
      i32.shr_u
      local.get 2
      i32.xor
      local.tee 2
      i32.const 5
      i32.shl
      local.get 2
      i32.xor
      local.tee 2
      f32.convert_i32_s
      f32.const 4.656613e-10
      f32.mul
      f32.store
      local.get 3
      i32.const 33792
      i32.add
      local.get 2
      i32.const 13
      i32.shl
      local.get 2
      i32.xor
      local.tee 2
      i32.const 17
      i32.shr_u
      local.get 2
      i32.xor
      local.tee 2
      i32.const 5
      i32.shl
      local.get 2
      i32.xor
      local.tee 2
      f32.convert_i32_s
      f32.const 4.656613e-10
      f32.mul
      f32.store
      local.get 3
      i32.const 4
      i32.add
      local.tee 3
      br_if 0
    end
    block
      block
        local.get 0
        i32.const 1
        i32.ge_s
        br_if 0
        i32.const 0
        local.set 3
        i32.const 0
        local.set 2
        i32.const 0
        local.set 4
        i32.const 0
        local.set 5
        i32.const 0
        local.set 6
        i32.const 0
        local.set 7
        i32.const 0
        local.set 0
        i32.const 0
        local.set 8
        i32.const 0
        local.set 9
        i32.const 0
        local.set 10
        i32.const 0
        local.set 11
        i32.const 0
        local.set 12
        i32.const 0
        local.set 13
        i32.const 0
        local.set 14
        i32.const 0
        local.set 15
        i32.const 0
        local.set 1
        br 1
      end
      i32.const 0
      local.set 7
      loop
        i32.const 0
        local.set 5
        i32.const 0
        local.set 6
        loop
          i32.const 0
          local.set 3
          loop
            local.get 1
            local.get 3
            i32.add
            local.tee 4
            local.get 5
            local.get 3
            i32.add
            local.tee 2
            i32.const 1024
            i32.add
            f32.load
            local.get 2
            i32.const 17408
            i32.add
            f32.load
            f32.mul
            local.get 4
            f32.load
            f32.add
            f32.store
            local.get 4
            i32.const 4
            i32.add
            local.tee 4
            local.get 2
            i32.const 1028
            i32.add
            f32.load
            local.get 2
            i32.const 17412
            i32.add
            f32.load
            f32.mul
            local.get 4
            f32.load
            f32.add
            f32.store
            local.get 3
            i32.const 8
            i32.add
            local.tee 3
            i32.const 64
            i32.ne
            br_if 0
          end
          local.get 5
          i32.const 64
          i32.add
          local.set 5
          local.get 6
          i32.const 4080
          i32.lt_u
          local.set 3
          local.get 6
          i32.const 16
          i32.add
          local.set 6
          local.get 3
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
      local.get 1
      i32.load offset=60
      local.set 3
      local.get 1
      i32.load offset=56
      local.set 2
      local.get 1
      i32.load offset=52
      local.set 4
      local.get 1
      i32.load offset=48
      local.set 5
      local.get 1
      i32.load offset=44
      local.set 6
      local.get 1
      i32.load offset=40
      local.set 7
      local.get 1
      i32.load offset=36
      local.set 0
      local.get 1
      i32.load offset=32
      local.set 8
      local.get 1
      i32.load offset=28
      local.set 9
      local.get 1
      i32.load offset=24
      local.set 10
      local.get 1
      i32.load offset=20
      local.set 11
      local.get 1
      i32.load offset=16
      local.set 12
      local.get 1
      i32.load offset=12
      local.set 13
      local.get 1
      i32.load offset=8
      local.set 14
      local.get 1
      i32.load offset=4
      local.set 15
      local.get 1
      i32.load
      local.set 1
    end
    local.get 15
    local.get 1
    i32.const 5
    i32.rotl
    i32.xor
    i32.const 5
    i32.rotl
    local.get 14
    i32.xor
    i32.const 5
    i32.rotl
    local.get 13
    i32.xor
    i32.const 5
    i32.rotl
    local.get 12
    i32.xor
    i32.const 5
    i32.rotl
    local.get 11
    i32.xor
    i32.const 5
    i32.rotl
    local.get 10
    i32.xor
    i32.const 5
    i32.rotl
    local.get 9
    i32.xor
    i32.const 5
    i32.rotl
    local.get 8
    i32.xor
    i32.const 5
    i32.rotl
    local.get 0
    i32.xor
    i32.const 5
    i32.rotl
    local.get 7
    i32.xor
    i32.const 5
    i32.rotl
    local.get 6
    i32.xor
    i32.const 5
    i32.rotl
    local.get 5
    i32.xor
    i32.const 5
    i32.rotl
    local.get 4
    i32.xor
    i32.const 5
    i32.rotl
    local.get 2
    i32.xor
    i32.const 5
    i32.rotl
    local.get 3
    i32.xor))
