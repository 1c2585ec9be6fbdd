(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 21760))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
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
      local.get 6
      i32.const 63
      i32.and
      i32.const 1024
      i32.add
      local.set 10
      i32.const 17408
      local.set 2
      i32.const 0
      local.set 11
      loop
        local.get 11
        local.get 9
        i32.add
        i32.const 127
        i32.and
        local.set 12
        i32.const 0
        local.set 4
        loop
          local.get 2
          local.get 4
          i32.add
          local.tee 1
          local.get 12
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
        end
        local.get 2
        i32.const 16
        i32.add
        local.set 2
        local.get 11
        i32.const 1
        i32.add
        local.tee 11
        i32.const 16
        i32.ne
        br_if 0
      end
      i32.const -1
      local.set 13
      i32.const 0
      local.set 14
      i32.const 0
      local.set 15
      loop
        local.get 14
        i32.const 4
        i32.shl
        local.set 16
        local.get 10
        local.set 17
        i32.const 0
        local.set 18
        loop
          i32.const 0
          local.set 1
          i32.const 17408
          local.set 12
          local.get 17
          local.set 11
          i32.const 0
          local.set 19
          loop
            i32.const 0
            local.set 4
            loop
              local.get 11
              local.get 4
              i32.add
              local.tee 5
              i32.const 1
              i32.add
              i32.load8_u
              local.get 12
              local.get 4
              i32.add
              local.tee 3
              i32.const 1
              i32.add
              i32.load8_u
              i32.sub
              local.tee 2
              local.get 2
              i32.const 31
              i32.shr_s
              local.tee 2
              i32.add
              local.get 2
              i32.xor
              local.get 5
              i32.load8_u
              local.get 3
              i32.load8_u
              i32.sub
              local.tee 5
              local.get 5
              i32.const 31
              i32.shr_s
              local.tee 5
              i32.add
              local.get 5
              i32.xor
              local.get 1
              i32.add
              i32.add
              local.set 1
              local.get 4
              i32.const 2
              i32.add
              local.tee 4
              i32.const 16
              i32.ne
              br_if 0
            end
            local.get 12
            i32.const 16
            i32.add
            local.set 12
            local.get 11
            i32.const 128
            i32.add
            local.set 11
            local.get 19
            i32.const 1
            i32.add
            local.tee 19
            i32.const 16
            i32.ne
            br_if 0
          end
          local.get 18
          local.get 16
          i32.add
          local.get 15
          local.get 1
          local.get 13
          i32.lt_u
          local.tee 4
          select
          local.set 15
          local.get 1
          local.get 13
          local.get 4
          select
          local.set 13
          local.get 17
          i32.const 1
          i32.add
          local.set 17
          local.get 18
          i32.const 1
          i32.add
          local.tee 18
          i32.const 16
          i32.ne
          br_if 0
        end
        local.get 10
        i32.const 128
        i32.add
        local.set 10
        local.get 14
        i32.const 1
        i32.add
        local.tee 14
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
      local.get 13
      local.get 8
      i32.const 31
      i32.mul
      i32.add
      local.get 15
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
