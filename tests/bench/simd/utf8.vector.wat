(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 9248))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32)
    (local v128 v128 v128)
    i32.const 19
    local.set 1
    i32.const 0
    local.set 2
    loop
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
      local.tee 3
      i32.const 5
      i32.shl
      local.get 3
      i32.xor
      local.set 1
      block
        block
          local.get 3
          i32.const 15
          i32.and
          local.tee 3
          i32.const 8
          i32.gt_u
          br_if 0
          local.get 1
          i32.const 8
          i32.shr_u
          i32.const 90
          i32.rem_u
          i32.const 32
          i32.add
          local.set 3
          i32.const 1
          local.set 4
          local.get 2
          local.set 5
          br 1
        end
        block
          local.get 3
          i32.const 12
          i32.gt_u
          br_if 0
          local.get 2
          i32.const 1024
          i32.add
          i32.const 195
          i32.store8
          local.get 2
          i32.const 1
          i32.add
          local.set 5
          local.get 1
          i32.const 8
          i32.shr_u
          i32.const 63
          i32.and
          i32.const -128
          i32.or
          local.set 3
          i32.const 2
          local.set 4
          br 1
        end
        block
          local.get 3
          i32.const 15
          i32.eq
          br_if 0
          local.get 2
          i32.const 1024
          i32.add
          i32.const 228
          i32.store8
          local.get 2
          i32.const 1025
          i32.add
          local.get 1
          i32.const 8
          i32.shr_u
          i32.const 63
          i32.and
          i32.const 128
          i32.or
          i32.store8
          local.get 2
          i32.const 2
          i32.add
          local.set 5
          local.get 1
          i32.const 16
          i32.shr_u
          i32.const 63
          i32.and
          i32.const -128
          i32.or
          local.set 3
          i32.const 3
          local.set 4
          br 1
        end
        local.get 2
        i32.const 1024
        i32.add
        i32.const 40944
        i32.store16 align=1
        local.get 2
        i32.const 1026
        i32.add
        local.get 1
        i32.const 8
        i32.shr_u
        i32.const 63
        i32.and
        i32.const 128
        i32.or
        i32.store8
        local.get 2
        i32.const 3
        i32.add
        local.set 5
        local.get 1
        i32.const 16
        i32.shr_u
        i32.const 63
        i32.and
        i32.const -128
        i32.or
        local.set 3
        i32.const 4
        local.set 4
      end
      local.get 5
      i32.const 1024
      i32.add
      local.get 3
      i32.store8
      local.get 2
      local.get 4
      i32.add
      local.tee 2
      i32.const 4088
      i32.lt_u
      br_if 0
    end
    local.get 2
    i32.const 1024
    i32.add
    i32.const 32
    i32.const 4096
    local.get 2
    i32.sub
    memory.fill
    block
      block
        local.get 0
        i32.const 1
        i32.ge_s
        br_if 0
        i32.const 0
        local.set 3
        br 1
      end
      i32.const 0
      i32.load8_u offset=5116
      local.set 4
      i32.const 0
      local.set 3
      i32.const 0
      local.set 2
      loop
        i32.const 0
        i32.const 32
        i32.const -1
        local.get 2
        i32.const 5
        i32.rem_u
        select
        i32.store8 offset=5116
        i32.const -16
        local.set 1
        v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
        local.tee 6
        local.set 7
        loop
          local.get 6
          local.get 1
          i32.const 1040
          i32.add
          v128.load
          local.tee 8
          i8x16.shuffle 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28
          v128.const i32x4 0x70707070 0x70707070 0x70707070 0x70707070
          i8x16.sub_sat_u
          local.get 6
          local.get 8
          i8x16.shuffle 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29
          v128.const i32x4 0x60606060 0x60606060 0x60606060 0x60606060
          i8x16.sub_sat_u
          v128.or
          v128.const i32x4 0x80808080 0x80808080 0x80808080 0x80808080
          v128.and
          v128.const i32x4 0x02020202 0x02020202 0x80808080 0x49150121
          local.get 6
          local.get 8
          i8x16.shuffle 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30
          local.tee 6
          i32.const 4
          i8x16.shr_u
          i8x16.swizzle
          v128.const i32x4 0x01010101 0x01010101 0xbabaaee6 0x01010101
          local.get 8
          i32.const 4
          i8x16.shr_u
          i8x16.swizzle
          v128.and
          v128.const i32x4 0x8383a3e7 0xcbcbcb8b 0xcbcbcbcb 0xcbcbdbcb
          local.get 6
          v128.const i32x4 0x0f0f0f0f 0x0f0f0f0f 0x0f0f0f0f 0x0f0f0f0f
          v128.and
          i8x16.swizzle
          v128.and
          v128.xor
          local.get 7
          v128.or
          local.set 7
          local.get 8
          local.set 6
          local.get 1
          i32.const 16
          i32.add
          local.tee 1
          i32.const 4080
          i32.lt_u
          br_if 0
        end
        i32.const 0
        local.get 4
        i32.store8 offset=5116
        i32.const 1
        local.get 2
        local.get 7
        v128.any_true
        select
        local.get 3
        i32.add
        local.set 3
        local.get 2
        i32.const 1
        i32.add
        local.tee 2
        local.get 0
        i32.ne
        br_if 0
      end
    end
    local.get 3))
