(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 21760))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (local v128 v128 v128)
    i32.const 29
    local.set 1
    i32.const 0
    local.set 2
    i32.const 1024
    local.set 3
    loop
      i32.const 0
      local.set 4
      loop
        local.get 3
        local.get 4
        i32.add
        local.tee 5
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
        local.get 5
        i32.const 1
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
        local.get 4
        i32.const 2
        i32.add
        local.tee 4
        i32.const 128
        i32.ne
        br_if 0
      end
      local.get 3
      i32.const 128
      i32.add
      local.set 3
      local.get 2
      i32.const 1
      i32.add
      local.tee 2
      i32.const 128
      i32.ne
      br_if 0
    end
    block
      local.get 0
      i32.const 1
      i32.ge_s
      br_if 0
      i32.const 0
      return
    end
    i32.const 0
    local.set 6
    i32.const 0
    local.set 7
    i32.const 0
    local.set 8
    i32.const 0
    local.set 9
    loop
      local.get 9
      i32.const 3
      i32.mul
      i32.const 127
      i32.and
      local.set 10
      local.get 6
      i32.const 63
      i32.and
      i32.const 1024
      i32.add
      local.set 11
      i32.const 17408
      local.set 2
      i32.const 0
      local.set 12
      loop
        local.get 12
        local.get 9
        i32.add
        i32.const 127
        i32.and
        local.set 13
        block
          block
            local.get 10
            i32.const 113
            i32.lt_u
            br_if 0
            i32.const 0
            local.set 4
            loop
              local.get 2
              local.get 4
              i32.add
              local.tee 1
              local.get 13
              i32.const 7
              i32.shl
              i32.const 1024
              i32.add
              local.tee 5
              local.get 7
              local.get 4
              i32.add
              local.tee 3
              i32.const 127
              i32.and
              i32.add
              i32.load8_u
              i32.store8
              local.get 1
              i32.const 1
              i32.add
              local.get 5
              local.get 3
              i32.const 1
              i32.add
              i32.const 127
              i32.and
              i32.add
              i32.load8_u
              local.get 4
              i32.const 2
              i32.eq
              i32.xor
              i32.store8
              local.get 4
              i32.const 2
              i32.add
              local.tee 4
              i32.const 16
              i32.ne
              br_if 0
              br 2
            end
          end
          local.get 12
          i32.const 4
          i32.shl
          i32.const 17408
          i32.add
          local.get 13
          i32.const 7
          i32.shl
          local.get 10
          i32.or
          i32.const 1024
          i32.add
          v128.load align=1
          v128.const i32x4 0x01000000 0x00000000 0x00000000 0x00000000
          v128.xor
          v128.store
        end
        local.get 2
        i32.const 16
        i32.add
        local.set 2
        local.get 12
        i32.const 1
        i32.add
        local.tee 12
        i32.const 16
        i32.ne
        br_if 0
      end
      i32.const -1
      local.set 2
      i32.const 0
      local.set 10
      i32.const 0
      local.set 13
      loop
        local.get 10
        i32.const 4
        i32.shl
        local.set 12
        local.get 11
        local.set 5
        i32.const 0
        local.set 3
        loop
          v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
          local.set 14
          i32.const -256
          local.set 4
          local.get 5
          local.set 1
          loop
            local.get 4
            i32.const 17680
            i32.add
            v128.load
            local.tee 15
            local.get 1
            i32.const 128
            i32.add
            v128.load align=1
            local.tee 16
            i8x16.sub_sat_u
            local.get 16
            local.get 15
            i8x16.sub_sat_u
            v128.or
            i16x8.extadd_pairwise_i8x16_u
            i32x4.extadd_pairwise_i16x8_u
            local.get 4
            i32.const 17664
            i32.add
            v128.load
            local.tee 15
            local.get 1
            v128.load align=1
            local.tee 16
            i8x16.sub_sat_u
            local.get 16
            local.get 15
            i8x16.sub_sat_u
            v128.or
            i16x8.extadd_pairwise_i8x16_u
            i32x4.extadd_pairwise_i16x8_u
            local.get 14
            i32x4.add
            i32x4.add
            local.set 14
            local.get 1
            i32.const 256
            i32.add
            local.set 1
            local.get 4
            i32.const 32
            i32.add
            local.tee 4
            br_if 0
          end
          local.get 3
          local.get 12
          i32.add
          local.get 13
          local.get 14
          i32x4.extract_lane 0
          local.get 14
          i32x4.extract_lane 1
          i32.add
          local.get 14
          i32x4.extract_lane 2
          i32.add
          local.get 14
          i32x4.extract_lane 3
          i32.add
          local.tee 4
          local.get 2
          i32.lt_u
          local.tee 1
          select
          local.set 13
          local.get 4
          local.get 2
          local.get 1
          select
          local.set 2
          local.get 5
          i32.const 1
          i32.add
          local.set 5
          local.get 3
          i32.const 1
          i32.add
          local.tee 3
          i32.const 16
          i32.ne
          br_if 0
        end
        local.get 11
        i32.const 128
        i32.add
        local.set 11
        local.get 10
        i32.const 1
        i32.add
        local.tee 10
        i32.const 16
        i32.ne
        br_if 0
      end
      local.get 6
      i32.const 1
      i32.add
      local.set 6
      local.get 7
      i32.const 3
      i32.add
      local.set 7
      local.get 2
      local.get 8
      i32.const 31
      i32.mul
      i32.add
      local.get 13
      i32.add
      local.set 8
      local.get 9
      i32.const 1
      i32.add
      local.tee 9
      local.get 0
      i32.ne
      br_if 0
    end
    local.get 8))
