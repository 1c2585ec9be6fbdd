(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 13328))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32)
    i32.const 23
    local.set 1
    i32.const -8192
    local.set 2
    loop
      local.get 2
      i32.const 9216
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
      i32.const 1
      i32.or
      i32.store8
      local.get 2
      i32.const 9217
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
      i32.const 1
      i32.or
      i32.store8
      local.get 2
      i32.const 2
      i32.add
      local.tee 2
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
    local.set 2
    i32.const 0
    local.set 3
    loop
      local.get 2
      local.set 4
      local.get 3
      i32.const 613
      i32.mul
      i32.const 8128
      i32.rem_u
      i32.const 1088
      i32.add
      local.tee 5
      i32.const 0
      i32.store8
      i32.const -1
      local.set 2
      loop
        local.get 2
        i32.const 1025
        i32.add
        local.set 1
        local.get 2
        i32.const 1
        i32.add
        local.tee 6
        local.set 2
        local.get 1
        i32.load8_u
        br_if 0
      end
      local.get 5
      i32.const 1
      i32.store8
      local.get 4
      i32.const 31
      i32.mul
      local.get 6
      i32.add
      local.set 2
      local.get 3
      i32.const 1
      i32.add
      local.tee 3
      local.get 0
      i32.ne
      br_if 0
    end
    local.get 4
    i32.const 31
    i32.mul
    local.get 6
    i32.add))
