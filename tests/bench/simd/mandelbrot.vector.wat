(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 5120))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32)
    (local v128)
    (local i32)
    (local v128)
    (local i32)
    (local v128 v128 v128 v128 v128 v128)
    i32.const 0
    local.set 1
    block
      local.get 0
      i32.const 1
      i32.lt_s
      br_if 0
      i32.const 0
      local.set 2
      loop
        local.get 2
        f32.convert_i32_s
        f32.const 0.01171875
        f32.mul
        f32.const -1.5
        f32.add
        f32x4.splat
        local.set 3
        i32.const 0
        local.set 4
        loop
          v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
          local.set 5
          i32.const 100
          local.set 6
          local.get 3
          local.set 7
          local.get 4
          i32x4.splat
          local.get 4
          i32.const 1
          i32.or
          i32x4.replace_lane 1
          local.get 4
          i32.const 2
          i32.or
          i32x4.replace_lane 2
          local.get 4
          i32.const 3
          i32.or
          i32x4.replace_lane 3
          f32x4.convert_i32x4_s
          v128.const i32x4 0x3c400000 0x3c400000 0x3c400000 0x3c400000
          f32x4.mul
          v128.const i32x4 0xc0000000 0xc0000000 0xc0000000 0xc0000000
          f32x4.add
          local.tee 8
          local.set 9
          block
            loop
              local.get 9
              local.get 9
              f32x4.mul
              local.tee 10
              local.get 7
              local.get 7
              f32x4.mul
              local.tee 11
              f32x4.add
              v128.const i32x4 0x40800000 0x40800000 0x40800000 0x40800000
              f32x4.le
              local.tee 12
              v128.any_true
              i32.eqz
              br_if 1
              local.get 5
              local.get 12
              i32x4.sub
              local.set 5
              local.get 9
              local.get 7
              f32x4.mul
              local.tee 7
              local.get 7
              f32x4.add
              local.get 3
              f32x4.add
              local.set 7
              local.get 8
              local.get 10
              local.get 11
              f32x4.sub
              f32x4.add
              local.set 9
              local.get 6
              i32.const -1
              i32.add
              local.tee 6
              br_if 0
            end
          end
          local.get 5
          i32x4.extract_lane 1
          local.get 1
          i32.add
          local.get 5
          i32x4.extract_lane 0
          i32.add
          local.get 5
          i32x4.extract_lane 2
          i32.add
          local.get 5
          i32x4.extract_lane 3
          i32.add
          local.set 1
          local.get 4
          i32.const 4
          i32.add
          local.tee 4
          local.get 0
          i32.lt_s
          br_if 0
        end
        local.get 2
        i32.const 1
        i32.add
        local.tee 2
        local.get 0
        i32.ne
        br_if 0
      end
    end
    local.get 1))
