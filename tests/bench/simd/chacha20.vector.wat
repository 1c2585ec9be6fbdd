(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 5632))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32)
    (local v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)
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
      v128.load offset=1264
      local.set 5
      i32.const 0
      v128.load offset=1248
      local.set 6
      i32.const 0
      v128.load offset=1232
      local.set 7
      i32.const 0
      v128.load offset=1200
      local.set 8
      i32.const 0
      v128.load offset=1184
      local.set 9
      i32.const 0
      v128.load offset=1168
      local.set 10
      i32.const 0
      v128.load offset=1152
      local.set 11
      i32.const 0
      v128.load offset=1136
      local.set 12
      i32.const 0
      v128.load offset=1120
      local.set 13
      i32.const 0
      v128.load offset=1104
      local.set 14
      i32.const 0
      v128.load offset=1088
      local.set 15
      i32.const 0
      v128.load offset=1072
      local.set 16
      i32.const 0
      v128.load offset=1056
      local.set 17
      i32.const 0
      v128.load offset=1040
      local.set 18
      i32.const 0
      v128.load offset=1024
      local.set 19
      i32.const 0
      local.set 2
      i32.const 0
      local.set 4
      loop
        i32.const 0
        local.get 2
        i32.const 2
        i32.shl
        local.tee 1
        i32.store offset=1216
        i32.const 0
        local.get 1
        i32.const 3
        i32.or
        i32.store offset=1228
        i32.const 0
        local.get 1
        i32.const 2
        i32.or
        i32.store offset=1224
        i32.const 0
        local.get 1
        i32.const 1
        i32.or
        i32.store offset=1220
        i32.const 10
        local.set 1
        local.get 5
        local.set 20
        local.get 6
        local.set 21
        local.get 7
        local.set 22
        i32.const 0
        v128.load offset=1216
        local.tee 23
        local.set 24
        local.get 8
        local.set 25
        local.get 9
        local.set 26
        local.get 10
        local.set 27
        local.get 11
        local.set 28
        local.get 12
        local.set 29
        local.get 13
        local.set 30
        local.get 14
        local.set 31
        local.get 15
        local.set 32
        local.get 16
        local.set 33
        local.get 17
        local.set 34
        local.get 18
        local.set 35
        local.get 19
        local.set 36
        loop
          local.get 27
          local.get 35
          local.get 31
          i32x4.add
          local.tee 35
          local.get 22
          v128.xor
          local.tee 22
          local.get 22
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 22
          i32x4.add
          local.tee 27
          local.get 27
          local.get 31
          v128.xor
          local.tee 31
          i32.const 12
          i32x4.shl
          local.get 31
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 31
          local.get 35
          i32x4.add
          local.tee 35
          local.get 22
          v128.xor
          local.tee 22
          local.get 22
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 22
          i32x4.add
          local.tee 37
          local.get 28
          local.get 36
          local.get 32
          i32x4.add
          local.tee 27
          local.get 24
          v128.xor
          local.tee 24
          local.get 24
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 24
          i32x4.add
          local.tee 28
          local.get 28
          local.get 32
          v128.xor
          local.tee 32
          i32.const 12
          i32x4.shl
          local.get 32
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 32
          local.get 27
          i32x4.add
          local.tee 36
          local.get 24
          v128.xor
          local.tee 24
          local.get 24
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 24
          i32x4.add
          local.tee 28
          local.get 32
          v128.xor
          local.tee 32
          i32.const 7
          i32x4.shl
          local.get 32
          i32.const 25
          i32x4.shr_u
          v128.or
          local.tee 32
          local.get 25
          local.get 33
          local.get 29
          i32x4.add
          local.tee 27
          local.get 20
          v128.xor
          local.tee 20
          local.get 20
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 20
          i32x4.add
          local.tee 25
          local.get 29
          v128.xor
          local.tee 29
          i32.const 12
          i32x4.shl
          local.get 29
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 29
          local.get 27
          i32x4.add
          local.tee 38
          i32x4.add
          local.tee 27
          local.get 26
          local.get 34
          local.get 30
          i32x4.add
          local.tee 33
          local.get 21
          v128.xor
          local.tee 21
          local.get 21
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 21
          i32x4.add
          local.tee 26
          local.get 30
          v128.xor
          local.tee 30
          i32.const 12
          i32x4.shl
          local.get 30
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 30
          local.get 33
          i32x4.add
          local.tee 34
          local.get 21
          v128.xor
          local.tee 21
          local.get 21
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 39
          v128.xor
          local.tee 21
          local.get 21
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 21
          i32x4.add
          local.tee 33
          local.get 33
          local.get 32
          v128.xor
          local.tee 32
          i32.const 12
          i32x4.shl
          local.get 32
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 32
          local.get 27
          i32x4.add
          local.tee 33
          local.get 21
          v128.xor
          local.tee 21
          local.get 21
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 21
          i32x4.add
          local.tee 27
          local.get 32
          v128.xor
          local.tee 32
          i32.const 7
          i32x4.shl
          local.get 32
          i32.const 25
          i32x4.shr_u
          v128.or
          local.set 32
          local.get 28
          local.get 25
          local.get 38
          local.get 20
          v128.xor
          local.tee 20
          local.get 20
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 20
          i32x4.add
          local.tee 25
          local.get 29
          v128.xor
          local.tee 29
          i32.const 7
          i32x4.shl
          local.get 29
          i32.const 25
          i32x4.shr_u
          v128.or
          local.tee 29
          local.get 34
          i32x4.add
          local.tee 34
          local.get 22
          v128.xor
          local.tee 22
          local.get 22
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 22
          i32x4.add
          local.tee 28
          local.get 28
          local.get 29
          v128.xor
          local.tee 29
          i32.const 12
          i32x4.shl
          local.get 29
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 29
          local.get 34
          i32x4.add
          local.tee 34
          local.get 22
          v128.xor
          local.tee 22
          local.get 22
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 22
          i32x4.add
          local.tee 28
          local.get 29
          v128.xor
          local.tee 29
          i32.const 7
          i32x4.shl
          local.get 29
          i32.const 25
          i32x4.shr_u
          v128.or
          local.set 29
          local.get 25
          local.get 26
          local.get 39
          i32x4.add
          local.tee 26
          local.get 30
          v128.xor
          local.tee 30
          i32.const 7
          i32x4.shl
          local.get 30
          i32.const 25
          i32x4.shr_u
          v128.or
          local.tee 30
          local.get 35
          i32x4.add
          local.tee 35
          local.get 24
          v128.xor
          local.tee 24
          local.get 24
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 24
          i32x4.add
          local.tee 25
          local.get 25
          local.get 30
          v128.xor
          local.tee 30
          i32.const 12
          i32x4.shl
          local.get 30
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 30
          local.get 35
          i32x4.add
          local.tee 35
          local.get 24
          v128.xor
          local.tee 24
          local.get 24
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 24
          i32x4.add
          local.tee 25
          local.get 30
          v128.xor
          local.tee 30
          i32.const 7
          i32x4.shl
          local.get 30
          i32.const 25
          i32x4.shr_u
          v128.or
          local.set 30
          local.get 26
          local.get 37
          local.get 31
          v128.xor
          local.tee 31
          i32.const 7
          i32x4.shl
          local.get 31
          i32.const 25
          i32x4.shr_u
          v128.or
          local.tee 31
          local.get 36
          i32x4.add
          local.tee 36
          local.get 20
          v128.xor
          local.tee 20
          local.get 20
          i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
          local.tee 20
          i32x4.add
          local.tee 26
          local.get 26
          local.get 31
          v128.xor
          local.tee 31
          i32.const 12
          i32x4.shl
          local.get 31
          i32.const 20
          i32x4.shr_u
          v128.or
          local.tee 31
          local.get 36
          i32x4.add
          local.tee 36
          local.get 20
          v128.xor
          local.tee 20
          local.get 20
          i8x16.shuffle 3 0 1 2 7 4 5 6 11 8 9 10 15 12 13 14
          local.tee 20
          i32x4.add
          local.tee 26
          local.get 31
          v128.xor
          local.tee 31
          i32.const 7
          i32x4.shl
          local.get 31
          i32.const 25
          i32x4.shr_u
          v128.or
          local.set 31
          local.get 1
          i32.const -1
          i32.add
          local.tee 1
          br_if 0
        end
        i32.const 0
        local.get 5
        local.get 20
        i32x4.add
        v128.store offset=1520
        i32.const 0
        local.get 6
        local.get 21
        i32x4.add
        v128.store offset=1504
        i32.const 0
        local.get 7
        local.get 22
        i32x4.add
        v128.store offset=1488
        i32.const 0
        local.get 23
        local.get 24
        i32x4.add
        v128.store offset=1472
        i32.const 0
        local.get 25
        local.get 8
        i32x4.add
        v128.store offset=1456
        i32.const 0
        local.get 26
        local.get 9
        i32x4.add
        v128.store offset=1440
        i32.const 0
        local.get 27
        local.get 10
        i32x4.add
        v128.store offset=1424
        i32.const 0
        local.get 28
        local.get 11
        i32x4.add
        v128.store offset=1408
        i32.const 0
        local.get 29
        local.get 12
        i32x4.add
        v128.store offset=1392
        i32.const 0
        local.get 30
        local.get 13
        i32x4.add
        v128.store offset=1376
        i32.const 0
        local.get 31
        local.get 14
        i32x4.add
        v128.store offset=1360
        i32.const 0
        local.get 32
        local.get 15
        i32x4.add
        v128.store offset=1344
        i32.const 0
        local.get 33
        local.get 16
        i32x4.add
        v128.store offset=1328
        i32.const 0
        local.get 34
        local.get 17
        i32x4.add
        v128.store offset=1312
        i32.const 0
        local.get 35
        local.get 18
        i32x4.add
        v128.store offset=1296
        i32.const 0
        local.get 36
        local.get 19
        i32x4.add
        v128.store offset=1280
        local.get 2
        i32.const 15
        i32.and
        i32.const 4
        i32.shl
        local.get 2
        i32.const 3
        i32.and
        i32.const 2
        i32.shl
        i32.or
        i32.const 1280
        i32.add
        i32.load
        local.get 2
        i32.add
        local.get 4
        i32.xor
        local.set 4
        local.get 2
        i32.const 1
        i32.add
        local.tee 2
        local.get 0
        i32.ne
        br_if 0
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
