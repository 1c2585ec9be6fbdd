(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 12320))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32)
    (local v128)
    i32.const -3072
    local.set 1
    i32.const 17
    local.set 2
    loop
      local.get 1
      i32.const 4096
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
      i32.const 24
      i32.shr_u
      i32.store8
      local.get 1
      i32.const 4097
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
      i32.const 24
      i32.shr_u
      i32.store8
      local.get 1
      i32.const 2
      i32.add
      local.tee 1
      br_if 0
    end
    i32.const 0
    local.set 3
    i32.const 0
    local.set 4
    block
      local.get 0
      i32.const 1
      i32.lt_s
      br_if 0
      i32.const 0
      local.set 4
      i32.const 0
      local.set 5
      loop
        i32.const -12
        local.set 1
        i32.const 4112
        local.set 2
        loop
          local.get 2
          v128.const i32x4 0xfcfcfc47 0xfcfcfcfc 0xedfcfcfc 0x000041f0
          v128.const i32x4 0x0d0d0d0d 0x0d0d0d0d 0x0d0d0d0d 0x0d0d0d0d
          v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
          local.get 1
          i32.const 1036
          i32.add
          v128.load align=4
          local.tee 6
          local.get 6
          i8x16.shuffle 1 0 2 1 4 3 5 4 7 6 8 7 10 9 11 10
          local.tee 6
          i32.const 8
          i32x4.shl
          v128.const i32x4 0x3f000000 0x3f000000 0x3f000000 0x3f000000
          v128.and
          local.get 6
          i32.const 6
          i32x4.shr_u
          v128.const i32x4 0x003f0000 0x003f0000 0x003f0000 0x003f0000
          v128.and
          v128.or
          local.get 6
          i32.const 10
          i32x4.shr_u
          v128.const i32x4 0x0000003f 0x0000003f 0x0000003f 0x0000003f
          v128.and
          v128.or
          local.get 6
          i32.const 4
          i32x4.shl
          v128.const i32x4 0x00003f00 0x00003f00 0x00003f00 0x00003f00
          v128.and
          v128.or
          local.tee 6
          v128.const i32x4 0x1a1a1a1a 0x1a1a1a1a 0x1a1a1a1a 0x1a1a1a1a
          i8x16.lt_s
          v128.bitselect
          local.get 6
          v128.const i32x4 0x33333333 0x33333333 0x33333333 0x33333333
          i8x16.sub_sat_u
          v128.or
          i8x16.swizzle
          local.get 6
          i8x16.add
          v128.store
          local.get 2
          i32.const 16
          i32.add
          local.set 2
          local.get 1
          i32.const 12
          i32.add
          local.tee 1
          i32.const 3060
          i32.lt_u
          br_if 0
        end
        local.get 5
        i32.const 3072
        i32.rem_u
        local.tee 1
        i32.const 1024
        i32.add
        local.tee 2
        local.get 2
        i32.load8_u
        local.get 1
        i32.const 4112
        i32.add
        i32.load8_u
        i32.add
        i32.store8
        local.get 4
        local.get 5
        i32.const 7
        i32.mul
        i32.const 3072
        i32.rem_u
        i32.const 4112
        i32.add
        i32.load8_u
        i32.add
        local.set 4
        local.get 5
        i32.const 1
        i32.add
        local.tee 5
        local.get 0
        i32.ne
        br_if 0
      end
    end
    i32.const -4096
    local.set 1
    loop
      local.get 1
      i32.const 8212
      i32.add
      i32.load
      local.get 1
      i32.const 8208
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
      local.get 1
      i32.const 8
      i32.add
      local.tee 1
      br_if 0
    end
    local.get 3
    local.get 4
    i32.xor))
