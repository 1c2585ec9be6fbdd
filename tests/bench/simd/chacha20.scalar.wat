(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 5632))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    i32.const 11
    local.set 1
    i32.const -256
    local.set 2
    loop
      local.get 2
      i32.const 1288
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
      i32.store
      local.get 2
      i32.const 1292
      i32.add
      local.get 1
      i32.store
      local.get 2
      i32.const 1284
      i32.add
      local.get 1
      i32.store
      local.get 2
      i32.const 1280
      i32.add
      local.get 1
      i32.store
      local.get 2
      i32.const 16
      i32.add
      local.tee 2
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
      local.set 5
      i32.const 0
      local.set 4
      loop
        i32.const 0
        local.get 5
        i32.const 2
        i32.shl
        local.tee 6
        i32.store offset=1216
        i32.const 0
        local.get 6
        i32.const 3
        i32.or
        i32.store offset=1228
        i32.const 0
        local.get 6
        i32.const 2
        i32.or
        i32.store offset=1224
        i32.const 0
        local.get 6
        i32.const 1
        i32.or
        i32.store offset=1220
        i32.const 0
        local.set 7
        loop
          i32.const 10
          local.set 8
          local.get 7
          i32.const 2
          i32.shl
          local.tee 9
          i32.const 1264
          i32.add
          i32.load
          local.tee 10
          local.set 11
          local.get 9
          i32.const 1248
          i32.add
          i32.load
          local.tee 12
          local.set 13
          local.get 9
          i32.const 1232
          i32.add
          i32.load
          local.tee 14
          local.set 15
          local.get 6
          local.set 16
          local.get 9
          i32.const 1200
          i32.add
          i32.load
          local.tee 17
          local.set 18
          local.get 9
          i32.const 1184
          i32.add
          i32.load
          local.tee 19
          local.set 20
          local.get 9
          i32.const 1168
          i32.add
          i32.load
          local.tee 21
          local.set 22
          local.get 9
          i32.const 1152
          i32.add
          i32.load
          local.tee 23
          local.set 24
          local.get 9
          i32.const 1136
          i32.add
          i32.load
          local.tee 25
          local.set 1
          local.get 9
          i32.const 1120
          i32.add
          i32.load
          local.tee 26
          local.set 2
          local.get 9
          i32.const 1104
          i32.add
          i32.load
          local.tee 27
          local.set 28
          local.get 9
          i32.const 1088
          i32.add
          i32.load
          local.tee 29
          local.set 30
          local.get 9
          i32.const 1072
          i32.add
          i32.load
          local.tee 31
          local.set 32
          local.get 9
          i32.const 1056
          i32.add
          i32.load
          local.tee 33
          local.set 34
          local.get 9
          i32.const 1040
          i32.add
          i32.load
          local.tee 35
          local.set 36
          local.get 9
          i32.const 1024
          i32.add
          i32.load
          local.tee 37
          local.set 38
          loop
            local.get 38
            local.get 30
            i32.add
            local.tee 38
            local.get 16
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 16
            local.get 24
            i32.add
            local.tee 24
            local.get 30
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 30
            local.get 38
            i32.add
            local.tee 38
            local.get 16
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 16
            local.get 24
            i32.add
            local.tee 24
            local.get 30
            i32.xor
            i32.const 7
            i32.rotl
            local.tee 30
            local.get 32
            local.get 1
            i32.add
            local.tee 32
            local.get 11
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 11
            local.get 18
            i32.add
            local.tee 18
            local.get 1
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 1
            local.get 32
            i32.add
            local.tee 39
            i32.add
            local.tee 32
            local.get 34
            local.get 2
            i32.add
            local.tee 34
            local.get 13
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 13
            local.get 20
            i32.add
            local.tee 20
            local.get 2
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 2
            local.get 34
            i32.add
            local.tee 34
            local.get 13
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 40
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 13
            local.get 36
            local.get 28
            i32.add
            local.tee 36
            local.get 15
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 15
            local.get 22
            i32.add
            local.tee 22
            local.get 28
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 28
            local.get 36
            i32.add
            local.tee 36
            local.get 15
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 15
            local.get 22
            i32.add
            local.tee 41
            i32.add
            local.tee 22
            local.get 30
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 30
            local.get 32
            i32.add
            local.tee 32
            local.get 13
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 13
            local.get 22
            i32.add
            local.tee 22
            local.get 30
            i32.xor
            i32.const 7
            i32.rotl
            local.set 30
            local.get 39
            local.get 11
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 11
            local.get 18
            i32.add
            local.tee 18
            local.get 1
            i32.xor
            i32.const 7
            i32.rotl
            local.tee 1
            local.get 34
            i32.add
            local.tee 34
            local.get 15
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 15
            local.get 24
            i32.add
            local.tee 24
            local.get 1
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 1
            local.get 34
            i32.add
            local.tee 34
            local.get 15
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 15
            local.get 24
            i32.add
            local.tee 24
            local.get 1
            i32.xor
            i32.const 7
            i32.rotl
            local.set 1
            local.get 40
            local.get 20
            i32.add
            local.tee 20
            local.get 2
            i32.xor
            i32.const 7
            i32.rotl
            local.tee 2
            local.get 36
            i32.add
            local.tee 36
            local.get 16
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 16
            local.get 18
            i32.add
            local.tee 18
            local.get 2
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 2
            local.get 36
            i32.add
            local.tee 36
            local.get 16
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 16
            local.get 18
            i32.add
            local.tee 18
            local.get 2
            i32.xor
            i32.const 7
            i32.rotl
            local.set 2
            local.get 41
            local.get 28
            i32.xor
            i32.const 7
            i32.rotl
            local.tee 28
            local.get 38
            i32.add
            local.tee 38
            local.get 11
            i32.xor
            i32.const 16
            i32.rotl
            local.tee 11
            local.get 20
            i32.add
            local.tee 20
            local.get 28
            i32.xor
            i32.const 12
            i32.rotl
            local.tee 28
            local.get 38
            i32.add
            local.tee 38
            local.get 11
            i32.xor
            i32.const 8
            i32.rotl
            local.tee 11
            local.get 20
            i32.add
            local.tee 20
            local.get 28
            i32.xor
            i32.const 7
            i32.rotl
            local.set 28
            local.get 8
            i32.const -1
            i32.add
            local.tee 8
            br_if 0
          end
          local.get 9
          i32.const 1296
          i32.add
          local.get 36
          local.get 35
          i32.add
          i32.store
          local.get 9
          i32.const 1280
          i32.add
          local.get 38
          local.get 37
          i32.add
          i32.store
          local.get 9
          i32.const 1312
          i32.add
          local.get 34
          local.get 33
          i32.add
          i32.store
          local.get 9
          i32.const 1328
          i32.add
          local.get 32
          local.get 31
          i32.add
          i32.store
          local.get 9
          i32.const 1344
          i32.add
          local.get 30
          local.get 29
          i32.add
          i32.store
          local.get 9
          i32.const 1360
          i32.add
          local.get 28
          local.get 27
          i32.add
          i32.store
          local.get 9
          i32.const 1376
          i32.add
          local.get 2
          local.get 26
          i32.add
          i32.store
          local.get 9
          i32.const 1392
          i32.add
          local.get 1
          local.get 25
          i32.add
          i32.store
          local.get 9
          i32.const 1408
          i32.add
          local.get 24
          local.get 23
          i32.add
          i32.store
          local.get 9
          i32.const 1424
          i32.add
          local.get 22
          local.get 21
          i32.add
          i32.store
          local.get 9
          i32.const 1440
          i32.add
          local.get 20
          local.get 19
          i32.add
          i32.store
          local.get 9
          i32.const 1456
          i32.add
          local.get 18
          local.get 17
          i32.add
          i32.store
          local.get 9
          i32.const 1472
          i32.add
          local.get 16
          local.get 6
          i32.add
          i32.store
          local.get 9
          i32.const 1488
          i32.add
          local.get 15
          local.get 14
          i32.add
          i32.store
          local.get 9
          i32.const 1504
          i32.add
          local.get 13
          local.get 12
          i32.add
          i32.store
          local.get 9
          i32.const 1520
          i32.add
          local.get 11
          local.get 10
          i32.add
          i32.store
          block
            local.get 7
            i32.const 1
            i32.add
            local.tee 7
            i32.const 4
            i32.ne
            br_if 0
            local.get 5
            i32.const 15
            i32.and
            i32.const 4
            i32.shl
            local.get 5
            i32.const 3
            i32.and
            i32.const 2
            i32.shl
            i32.or
            i32.const 1280
            i32.add
            i32.load
            local.get 5
            i32.add
            local.get 4
            i32.xor
            local.set 4
            local.get 5
            i32.const 1
            i32.add
            local.tee 5
            local.get 0
            i32.ne
            br_if 2
            br 3
          end
          local.get 7
          i32.const 2
          i32.shl
          i32.const 1216
          i32.add
          i32.load
          local.set 6
          br 0
        end
      end
    end
    i32.const -256
    local.set 1
    loop
      local.get 1
      i32.const 1540
      i32.add
      i32.load
      local.get 1
      i32.const 1536
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
