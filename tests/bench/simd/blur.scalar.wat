(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 37888))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
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
    i32.const 0
    local.set 6
    block
      local.get 0
      i32.const 0
      i32.le_s
      br_if 0
      i32.const 0
      local.set 7
      i32.const 0
      i32.load8_u offset=1280
      local.set 8
      loop
        i32.const 0
        local.set 1
        local.get 8
        local.set 5
        i32.const 1
        local.set 9
        loop
          i32.const 0
          local.set 3
          local.get 9
          i32.const 1
          i32.add
          local.tee 9
          i32.const 8
          i32.shl
          i32.const 1024
          i32.add
          i32.load8_u
          local.tee 10
          local.set 2
          loop
            local.get 1
            local.get 3
            i32.add
            local.tee 4
            i32.const 17665
            i32.add
            local.get 4
            i32.const 1024
            i32.add
            i32.load8_u
            local.get 4
            i32.const 1025
            i32.add
            i32.load8_u
            i32.add
            local.get 4
            i32.const 1026
            i32.add
            i32.load8_u
            i32.add
            local.get 5
            i32.const 255
            i32.and
            i32.add
            local.get 4
            i32.const 1281
            i32.add
            i32.load8_u
            local.tee 5
            i32.add
            local.get 4
            i32.const 1282
            i32.add
            i32.load8_u
            i32.add
            local.get 2
            i32.const 255
            i32.and
            i32.add
            local.get 4
            i32.const 1537
            i32.add
            i32.load8_u
            local.tee 2
            i32.add
            local.get 4
            i32.const 1538
            i32.add
            i32.load8_u
            i32.add
            i32.const 7282
            i32.mul
            i32.const 16
            i32.shr_u
            i32.store8
            local.get 3
            i32.const 1
            i32.add
            local.tee 3
            i32.const 248
            i32.ne
            br_if 0
          end
          local.get 1
          i32.const 256
          i32.add
          local.set 1
          local.get 10
          local.set 5
          local.get 9
          i32.const 63
          i32.ne
          br_if 0
        end
        local.get 7
        i32.const 62
        i32.rem_u
        i32.const 8
        i32.shl
        local.tee 4
        local.get 7
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
        local.get 7
        i32.const 1
        i32.add
        local.tee 7
        local.get 0
        i32.ne
        br_if 0
      end
    end
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
      local.get 6
      i32.const 5
      i32.rotl
      i32.xor
      i32.const 5
      i32.rotl
      i32.xor
      local.set 6
      local.get 4
      i32.const 8
      i32.add
      local.tee 4
      br_if 0
    end
    local.get 6))
