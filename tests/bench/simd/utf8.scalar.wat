(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 9248))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32)
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
        local.set 6
        br 1
      end
      i32.const 0
      i32.load8_u offset=5116
      local.set 7
      i32.const 0
      local.set 6
      i32.const 0
      local.set 5
      loop
        i32.const 0
        i32.const 32
        i32.const -1
        local.get 5
        i32.const 5
        i32.rem_u
        select
        i32.store8 offset=5116
        i32.const 0
        local.set 1
        block
          loop
            block
              block
                local.get 1
                i32.const 1024
                i32.add
                i32.load8_s
                local.tee 2
                i32.const -1
                i32.le_s
                br_if 0
                local.get 1
                i32.const 1
                i32.add
                local.set 1
                br 1
              end
              i32.const 1
              local.set 4
              local.get 1
              i32.const 1025
              i32.add
              i32.load8_u
              local.tee 3
              i32.const 192
              i32.and
              i32.const 128
              i32.ne
              br_if 2
              local.get 2
              i32.const -62
              i32.lt_u
              br_if 2
              local.get 2
              i32.const -12
              i32.gt_u
              br_if 2
              block
                local.get 2
                i32.const -32
                i32.ge_u
                br_if 0
                local.get 1
                i32.const 2
                i32.add
                local.set 1
                br 1
              end
              block
                local.get 2
                i32.const -32
                i32.ne
                br_if 0
                local.get 3
                i32.const 160
                i32.lt_u
                br_if 3
              end
              block
                local.get 2
                i32.const -19
                i32.ne
                br_if 0
                local.get 3
                i32.const 159
                i32.gt_u
                br_if 3
              end
              block
                local.get 2
                i32.const -16
                i32.ne
                br_if 0
                local.get 3
                i32.const 144
                i32.lt_u
                br_if 3
              end
              block
                local.get 2
                i32.const -12
                i32.ne
                br_if 0
                local.get 3
                i32.const 143
                i32.gt_u
                br_if 3
              end
              local.get 1
              i32.const 1026
              i32.add
              i32.load8_u
              i32.const 192
              i32.and
              i32.const 128
              i32.ne
              br_if 2
              block
                local.get 2
                i32.const -16
                i32.ge_u
                br_if 0
                local.get 1
                i32.const 3
                i32.add
                local.set 1
                br 1
              end
              local.get 1
              i32.const 1027
              i32.add
              i32.load8_u
              i32.const 192
              i32.and
              i32.const 128
              i32.ne
              br_if 2
              local.get 1
              i32.const 4
              i32.add
              local.set 1
            end
            local.get 1
            i32.const 4096
            i32.lt_s
            br_if 0
          end
          local.get 5
          local.set 4
        end
        i32.const 0
        local.get 7
        i32.store8 offset=5116
        local.get 4
        local.get 6
        i32.add
        local.set 6
        local.get 5
        i32.const 1
        i32.add
        local.tee 5
        local.get 0
        i32.ne
        br_if 0
      end
    end
    local.get 6))
