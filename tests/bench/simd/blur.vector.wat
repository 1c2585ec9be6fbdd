(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 37888))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32)
    (local v128 v128)
    i32.const 0
    local.set 1
    i32.const 1024
    local.set 2
    i32.const 5
    local.set 3
    loop
      i32.const 0
      local.set 4
      loop
        local.get 2
        local.get 4
        i32.add
        local.tee 5
        local.get 3
        i32.const 13
        i32.shl
        local.get 3
        i32.xor
        local.tee 3
        i32.const 17
        i32.shr_u
        local.get 3
        i32.xor
        local.tee 3
        i32.const 5
        i32.shl
        local.get 3
        i32.xor
        local.tee 3
        i32.const 24
        i32.shr_u
        i32.store8
        local.get 5
        i32.const 1
        i32.add
        local.get 3
        i32.const 13
        i32.shl
        local.get 3
        i32.xor
        local.tee 3
        i32.const 17
        i32.shr_u
        local.get 3
        i32.xor
        local.tee 3
        i32.const 5
        i32.shl
        local.get 3
        i32.xor
        local.tee 3
        i32.const 24
        i32.shr_u
        i32.store8
        local.get 4
        i32.const 2
        i32.add
        local.tee 4
        i32.const 256
        i32.ne
        br_if 0
      end
      local.get 2
      i32.const 256
      i32.add
      local.set 2
      local.get 1
      i32.const 1
      i32.add
      local.tee 1
      i32.const 64
      i32.ne
      br_if 0
    end
    block
      local.get 0
      i32.const 1
      i32.lt_s
      br_if 0
      i32.const 0
      local.set 1
      loop
        i32.const 1
        local.set 2
        i32.const 0
        local.set 5
        loop
          local.get 2
          i32.const 1
          i32.add
          local.set 2
          i32.const -8
          local.set 3
          loop
            local.get 5
            local.get 3
            i32.add
            local.tee 4
            i32.const 17673
            i32.add
            local.get 4
            i32.const 1032
            i32.add
            v128.load8x8_u
            local.get 4
            i32.const 1033
            i32.add
            v128.load8x8_u align=1
            i16x8.add
            local.get 4
            i32.const 1034
            i32.add
            v128.load8x8_u align=2
            i16x8.add
            local.get 4
            i32.const 1288
            i32.add
            v128.load8x8_u
            i16x8.add
            local.get 4
            i32.const 1289
            i32.add
            v128.load8x8_u align=1
            i16x8.add
            local.get 4
            i32.const 1290
            i32.add
            v128.load8x8_u align=2
            i16x8.add
            local.get 4
            i32.const 1544
            i32.add
            v128.load8x8_u
            i16x8.add
            local.get 4
            i32.const 1545
            i32.add
            v128.load8x8_u align=1
            i16x8.add
            local.get 4
            i32.const 1546
            i32.add
            v128.load8x8_u align=2
            i16x8.add
            local.tee 6
            i32x4.extend_low_i16x8_u
            v128.const i32x4 0x00001c72 0x00001c72 0x00001c72 0x00001c72
            local.tee 7
            i32x4.mul
            local.get 6
            i32x4.extend_high_i16x8_u
            local.get 7
            i32x4.mul
            i8x16.shuffle 2 3 6 7 10 11 14 15 18 19 22 23 26 27 30 31
            local.tee 6
            local.get 6
            i8x16.narrow_i16x8_u
            v128.store64_lane align=1 0
            local.get 3
            i32.const 8
            i32.add
            local.tee 3
            i32.const 240
            i32.lt_u
            br_if 0
          end
          local.get 5
          i32.const 256
          i32.add
          local.set 5
          local.get 2
          i32.const 63
          i32.ne
          br_if 0
        end
        local.get 1
        i32.const 62
        i32.rem_u
        i32.const 8
        i32.shl
        local.tee 4
        local.get 1
        i32.const 200
        i32.rem_u
        i32.or
        i32.const 1281
        i32.add
        local.tee 3
        local.get 3
        i32.load8_u
        local.get 4
        i32.const 17666
        i32.add
        i32.load8_u
        i32.const 1
        i32.or
        i32.xor
        i32.store8
        local.get 1
        i32.const 1
        i32.add
        local.tee 1
        local.get 0
        i32.ne
        br_if 0
      end
    end
    i32.const 0
    local.set 3
    i32.const -16384
    local.set 4
    loop
      local.get 4
      i32.const 33796
      i32.add
      i32.load
      local.get 4
      i32.const 33792
      i32.add
      i32.load
      local.get 3
      i32.const 5
      i32.rotl
      i32.xor
      i32.const 5
      i32.rotl
      i32.xor
      local.set 3
      local.get 4
      i32.const 8
      i32.add
      local.tee 4
      br_if 0
    end
    local.get 3))
