(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 12400))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32)
    i32.const -3072
    local.set 1
    i32.const 17
    local.set 2
    loop
      local.get 1
      i32.const 4176
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
      i32.const 4177
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
        i32.const -3
        local.set 2
        i32.const 4192
        local.set 1
        loop
          local.get 1
          i32.const 3
          i32.add
          local.get 2
          i32.const 1109
          i32.add
          i32.load8_u
          local.tee 6
          i32.const 63
          i32.and
          i32.const 1024
          i32.add
          i32.load8_u
          i32.store8
          local.get 1
          local.get 2
          i32.const 1107
          i32.add
          i32.load8_u
          local.tee 7
          i32.const 2
          i32.shr_u
          i32.const 1024
          i32.add
          i32.load8_u
          i32.store8
          local.get 1
          i32.const 2
          i32.add
          local.get 6
          local.get 2
          i32.const 1108
          i32.add
          i32.load8_u
          i32.const 8
          i32.shl
          local.tee 8
          i32.or
          i32.const 6
          i32.shr_u
          i32.const 63
          i32.and
          i32.const 1024
          i32.add
          i32.load8_u
          i32.store8
          local.get 1
          i32.const 1
          i32.add
          local.get 8
          local.get 7
          i32.const 16
          i32.shl
          i32.or
          i32.const 12
          i32.shr_u
          i32.const 63
          i32.and
          i32.const 1024
          i32.add
          i32.load8_u
          i32.store8
          local.get 1
          i32.const 4
          i32.add
          local.set 1
          local.get 2
          i32.const 3
          i32.add
          local.tee 2
          i32.const 3069
          i32.lt_u
          br_if 0
        end
        local.get 5
        i32.const 3072
        i32.rem_u
        local.tee 1
        i32.const 1104
        i32.add
        local.tee 2
        local.get 2
        i32.load8_u
        local.get 1
        i32.const 4192
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
        i32.const 4192
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
      i32.const 8292
      i32.add
      i32.load
      local.get 1
      i32.const 8288
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
    i32.xor)
  (data (;0;) (offset (i32.const 1024)) "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\00"))
