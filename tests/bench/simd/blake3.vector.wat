(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 5504))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32)
    (local v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)
    i32.const 0
    i64.const 7640891604710581870
    i64.store offset=1144
    i32.const 0
    i64.const 7640891604710581870
    i64.store offset=1136
    i32.const 0
    i64.const 7640891600415614573
    i64.store offset=1128
    i32.const 0
    i64.const 7640891600415614573
    i64.store offset=1120
    i32.const 0
    i64.const 7640891596120647276
    i64.store offset=1112
    i32.const 0
    i64.const 7640891596120647276
    i64.store offset=1104
    i32.const 0
    i64.const 7640891591825679979
    i64.store offset=1096
    i32.const 0
    i64.const 7640891591825679979
    i64.store offset=1088
    i32.const 0
    i64.const 7640891587530712682
    i64.store offset=1080
    i32.const 0
    i64.const 7640891587530712682
    i64.store offset=1072
    i32.const 0
    i64.const 7640891583235745385
    i64.store offset=1064
    i32.const 0
    i64.const 7640891583235745385
    i64.store offset=1056
    i32.const 0
    i64.const 7640891578940778088
    i64.store offset=1048
    i32.const 0
    i64.const 7640891578940778088
    i64.store offset=1040
    i32.const 0
    i64.const 7640891574645810791
    i64.store offset=1032
    i32.const 0
    i64.const 7640891574645810791
    i64.store offset=1024
    i32.const -256
    local.set 1
    i32.const 13
    local.set 2
    loop
      local.get 1
      i32.const 1408
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
      i32.store
      local.get 1
      i32.const 1412
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
      i32.store
      local.get 1
      i32.const 1416
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
      i32.store
      local.get 1
      i32.const 1420
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
      i32.store
      local.get 1
      i32.const 16
      i32.add
      local.tee 1
      br_if 0
    end
    block
      block
        local.get 0
        i32.const 1
        i32.ge_s
        br_if 0
        i32.const 1779033703
        local.set 2
        br 1
      end
      i32.const 0
      v128.load offset=1136
      local.set 3
      i32.const 0
      v128.load offset=1120
      local.set 4
      i32.const 0
      v128.load offset=1104
      local.set 5
      i32.const 0
      v128.load offset=1088
      local.set 6
      i32.const 0
      v128.load offset=1072
      local.set 7
      i32.const 0
      v128.load offset=1056
      local.set 8
      i32.const 0
      v128.load offset=1040
      local.set 9
      i32.const 0
      v128.load offset=1024
      local.set 10
      i32.const 0
      local.set 1
      loop
        i32.const 0
        local.get 4
        local.get 8
        i32x4.add
        i32.const 0
        v128.load offset=1216
        local.tee 8
        i32x4.add
        local.tee 11
        v128.const i32x4 0x00000040 0x00000040 0x00000040 0x00000040
        v128.xor
        local.tee 12
        local.get 12
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 13
        v128.const i32x4 0x3c6ef372 0x3c6ef372 0x3c6ef372 0x3c6ef372
        i32x4.add
        local.tee 14
        i32.const 0
        v128.load offset=1232
        local.tee 12
        local.get 11
        i32x4.add
        local.get 14
        local.get 4
        v128.xor
        local.tee 4
        i32.const 20
        i32x4.shl
        local.get 4
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 15
        i32x4.add
        local.tee 14
        local.get 13
        v128.xor
        local.tee 4
        local.get 4
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 16
        i32x4.add
        local.tee 17
        i32.const 0
        v128.load offset=1168
        local.tee 4
        local.get 6
        local.get 10
        i32x4.add
        i32.const 0
        v128.load offset=1152
        local.tee 10
        i32x4.add
        local.tee 11
        i32x4.add
        local.get 11
        local.get 1
        i32x4.splat
        v128.xor
        local.tee 11
        local.get 11
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 18
        v128.const i32x4 0x6a09e667 0x6a09e667 0x6a09e667 0x6a09e667
        i32x4.add
        local.tee 19
        local.get 6
        v128.xor
        local.tee 6
        i32.const 20
        i32x4.shl
        local.get 6
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 21
        i32.const 0
        v128.load offset=1280
        local.tee 6
        i32x4.add
        local.get 5
        local.get 9
        i32x4.add
        i32.const 0
        v128.load offset=1184
        local.tee 9
        i32x4.add
        local.tee 13
        local.get 13
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        v128.const i32x4 0xbb67ae85 0xbb67ae85 0xbb67ae85 0xbb67ae85
        i32x4.add
        local.tee 23
        i32.const 0
        v128.load offset=1200
        local.tee 11
        local.get 13
        i32x4.add
        local.get 23
        local.get 5
        v128.xor
        local.tee 5
        i32.const 20
        i32x4.shl
        local.get 5
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 5
        i32x4.add
        local.tee 23
        local.get 22
        v128.xor
        local.tee 13
        local.get 13
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 24
        local.get 5
        v128.xor
        local.tee 5
        i32.const 25
        i32x4.shl
        local.get 5
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 25
        i32x4.add
        local.tee 26
        i32.const 0
        v128.load offset=1264
        local.tee 5
        local.get 3
        local.get 7
        i32x4.add
        i32.const 0
        v128.load offset=1248
        local.tee 13
        i32x4.add
        local.tee 7
        i32x4.add
        local.get 7
        v128.const i32x4 0x0000000b 0x0000000b 0x0000000b 0x0000000b
        v128.xor
        local.tee 7
        local.get 7
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 7
        v128.const i32x4 0xa54ff53a 0xa54ff53a 0xa54ff53a 0xa54ff53a
        i32x4.add
        local.tee 27
        local.get 3
        v128.xor
        local.tee 3
        i32.const 20
        i32x4.shl
        local.get 3
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 28
        i32x4.add
        local.tee 29
        local.get 7
        v128.xor
        local.tee 3
        local.get 3
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 30
        v128.xor
        local.tee 3
        local.get 3
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 7
        i32x4.add
        local.tee 31
        local.get 26
        i32.const 0
        v128.load offset=1296
        local.tee 3
        i32x4.add
        local.get 31
        local.get 25
        v128.xor
        local.tee 25
        i32.const 20
        i32x4.shl
        local.get 25
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 25
        i32x4.add
        local.tee 26
        local.get 7
        v128.xor
        local.tee 7
        local.get 7
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 31
        i32x4.add
        local.tee 32
        local.get 14
        i32.const 0
        v128.load offset=1344
        local.tee 7
        i32x4.add
        local.get 27
        local.get 30
        i32x4.add
        local.tee 27
        local.get 28
        v128.xor
        local.tee 14
        i32.const 25
        i32x4.shl
        local.get 14
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 28
        i32x4.add
        local.tee 30
        i32.const 0
        v128.load offset=1360
        local.tee 14
        i32x4.add
        local.get 19
        local.get 21
        local.get 18
        v128.xor
        local.tee 18
        local.get 18
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 19
        local.get 30
        local.get 22
        v128.xor
        local.tee 18
        local.get 18
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 30
        local.get 28
        v128.xor
        local.tee 18
        i32.const 20
        i32x4.shl
        local.get 18
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 28
        i32x4.add
        local.tee 33
        local.get 5
        i32x4.add
        local.get 27
        local.get 23
        i32.const 0
        v128.load offset=1312
        local.tee 18
        i32x4.add
        local.get 17
        local.get 15
        v128.xor
        local.tee 15
        i32.const 25
        i32x4.shl
        local.get 15
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 17
        i32x4.add
        local.tee 23
        local.get 21
        v128.xor
        local.tee 15
        local.get 15
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 23
        i32.const 0
        v128.load offset=1328
        local.tee 15
        i32x4.add
        local.get 27
        local.get 17
        v128.xor
        local.tee 17
        i32.const 20
        i32x4.shl
        local.get 17
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 17
        i32x4.add
        local.tee 23
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 17
        v128.xor
        local.tee 17
        i32.const 25
        i32x4.shl
        local.get 17
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 34
        i32x4.add
        local.tee 35
        local.get 29
        i32.const 0
        v128.load offset=1376
        local.tee 17
        i32x4.add
        local.get 19
        local.get 20
        v128.xor
        local.tee 19
        i32.const 25
        i32x4.shl
        local.get 19
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 29
        i32.const 0
        v128.load offset=1392
        local.tee 19
        i32x4.add
        local.get 24
        local.get 29
        local.get 16
        v128.xor
        local.tee 16
        local.get 16
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 29
        local.get 16
        v128.xor
        local.tee 16
        local.get 16
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 16
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 35
        local.get 10
        i32x4.add
        local.get 37
        local.get 34
        v128.xor
        local.tee 34
        i32.const 20
        i32x4.shl
        local.get 34
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 34
        i32x4.add
        local.tee 35
        local.get 36
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 26
        local.get 9
        i32x4.add
        local.get 24
        local.get 16
        i32x4.add
        local.tee 16
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 24
        local.get 13
        i32x4.add
        local.get 30
        local.get 33
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 26
        local.get 24
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 24
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 30
        local.get 4
        i32x4.add
        local.get 16
        local.get 23
        local.get 11
        i32x4.add
        local.get 32
        local.get 25
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 25
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 16
        local.get 25
        local.get 18
        i32x4.add
        local.get 16
        local.get 23
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 23
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 25
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 29
        local.get 8
        i32x4.add
        local.get 26
        local.get 28
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 28
        local.get 14
        i32x4.add
        local.get 27
        local.get 28
        local.get 31
        v128.xor
        local.tee 28
        local.get 28
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 28
        i32x4.add
        local.tee 27
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 28
        v128.xor
        local.tee 28
        local.get 28
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 28
        v128.xor
        local.tee 31
        local.get 31
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 31
        i32x4.add
        local.tee 33
        local.get 32
        local.get 15
        i32x4.add
        local.get 33
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 31
        v128.xor
        local.tee 31
        local.get 31
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 31
        i32x4.add
        local.tee 33
        local.get 35
        local.get 3
        i32x4.add
        local.get 27
        local.get 28
        i32x4.add
        local.tee 27
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 28
        local.get 17
        i32x4.add
        local.get 24
        local.get 30
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 24
        local.get 28
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 30
        local.get 14
        i32x4.add
        local.get 27
        local.get 23
        local.get 7
        i32x4.add
        local.get 37
        local.get 34
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 34
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 34
        local.get 12
        i32x4.add
        local.get 27
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 27
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 34
        local.get 23
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 29
        local.get 19
        i32x4.add
        local.get 24
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 24
        local.get 6
        i32x4.add
        local.get 25
        local.get 24
        local.get 36
        v128.xor
        local.tee 24
        local.get 24
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 24
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 29
        local.get 24
        v128.xor
        local.tee 24
        local.get 24
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 24
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 35
        local.get 9
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 36
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 32
        local.get 11
        i32x4.add
        local.get 25
        local.get 24
        i32x4.add
        local.tee 24
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 25
        local.get 8
        i32x4.add
        local.get 28
        local.get 30
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 28
        local.get 25
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 30
        local.get 13
        i32x4.add
        local.get 24
        local.get 27
        local.get 18
        i32x4.add
        local.get 33
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 27
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 24
        local.get 27
        local.get 7
        i32x4.add
        local.get 24
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 27
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 29
        local.get 5
        i32x4.add
        local.get 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 28
        local.get 17
        i32x4.add
        local.get 34
        local.get 28
        local.get 31
        v128.xor
        local.tee 28
        local.get 28
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 28
        i32x4.add
        local.tee 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 31
        local.get 28
        v128.xor
        local.tee 28
        local.get 28
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 28
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 32
        local.get 12
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 33
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 35
        local.get 15
        i32x4.add
        local.get 29
        local.get 28
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 19
        i32x4.add
        local.get 25
        local.get 30
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 25
        local.get 29
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 30
        local.get 17
        i32x4.add
        local.get 28
        local.get 24
        local.get 3
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 24
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 28
        local.get 24
        local.get 10
        i32x4.add
        local.get 28
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 24
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 28
        local.get 23
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 31
        local.get 6
        i32x4.add
        local.get 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 25
        local.get 4
        i32x4.add
        local.get 27
        local.get 25
        local.get 36
        v128.xor
        local.tee 25
        local.get 25
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 25
        i32x4.add
        local.tee 27
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 31
        local.get 25
        v128.xor
        local.tee 25
        local.get 25
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 25
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 35
        local.get 11
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 36
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 32
        local.get 18
        i32x4.add
        local.get 27
        local.get 25
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 27
        local.get 5
        i32x4.add
        local.get 29
        local.get 30
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 29
        local.get 27
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 30
        local.get 8
        i32x4.add
        local.get 25
        local.get 24
        local.get 7
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 25
        local.get 24
        local.get 3
        i32x4.add
        local.get 25
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 25
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 31
        local.get 14
        i32x4.add
        local.get 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 19
        i32x4.add
        local.get 28
        local.get 29
        local.get 33
        v128.xor
        local.tee 29
        local.get 29
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 29
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 31
        local.get 29
        v128.xor
        local.tee 29
        local.get 29
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 29
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 32
        local.get 10
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 33
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 35
        local.get 12
        i32x4.add
        local.get 28
        local.get 29
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 6
        i32x4.add
        local.get 27
        local.get 30
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 29
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 30
        local.get 19
        i32x4.add
        local.get 28
        local.get 24
        local.get 15
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 24
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 28
        local.get 24
        local.get 9
        i32x4.add
        local.get 28
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 24
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 28
        local.get 23
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 31
        local.get 4
        i32x4.add
        local.get 27
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 27
        local.get 13
        i32x4.add
        local.get 25
        local.get 27
        local.get 36
        v128.xor
        local.tee 27
        local.get 27
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 27
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 31
        local.get 27
        v128.xor
        local.tee 27
        local.get 27
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 27
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 35
        local.get 18
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 36
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 32
        local.get 7
        i32x4.add
        local.get 25
        local.get 27
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 27
        local.get 14
        i32x4.add
        local.get 29
        local.get 30
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 29
        local.get 27
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 30
        local.get 5
        i32x4.add
        local.get 25
        local.get 24
        local.get 3
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 25
        local.get 24
        local.get 15
        i32x4.add
        local.get 25
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 25
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 31
        local.get 17
        i32x4.add
        local.get 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 6
        i32x4.add
        local.get 28
        local.get 29
        local.get 33
        v128.xor
        local.tee 29
        local.get 29
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 29
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 31
        local.get 29
        v128.xor
        local.tee 29
        local.get 29
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 29
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 32
        local.get 9
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 33
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 35
        local.get 10
        i32x4.add
        local.get 28
        local.get 29
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 4
        i32x4.add
        local.get 27
        local.get 30
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 29
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 30
        local.get 6
        i32x4.add
        local.get 28
        local.get 24
        local.get 12
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 24
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 28
        local.get 24
        local.get 11
        i32x4.add
        local.get 28
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 24
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 28
        local.get 23
        v128.xor
        local.tee 23
        i32.const 25
        i32x4.shl
        local.get 23
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 31
        local.get 13
        i32x4.add
        local.get 27
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 27
        local.get 8
        i32x4.add
        local.get 25
        local.get 27
        local.get 36
        v128.xor
        local.tee 27
        local.get 27
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 27
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 31
        local.get 27
        v128.xor
        local.tee 27
        local.get 27
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 27
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 35
        local.get 7
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 23
        i32.const 20
        i32x4.shl
        local.get 23
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 23
        i32x4.add
        local.tee 35
        local.get 36
        v128.xor
        local.tee 36
        local.get 36
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 36
        i32x4.add
        local.tee 37
        local.get 32
        local.get 3
        i32x4.add
        local.get 25
        local.get 27
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 27
        local.get 17
        i32x4.add
        local.get 29
        local.get 30
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 29
        local.get 27
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 30
        local.get 14
        i32x4.add
        local.get 25
        local.get 24
        local.get 15
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 25
        local.get 24
        local.get 12
        i32x4.add
        local.get 25
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 24
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 22
        i32x4.add
        local.tee 25
        local.get 16
        v128.xor
        local.tee 16
        i32.const 25
        i32x4.shl
        local.get 16
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 31
        local.get 19
        i32x4.add
        local.get 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 4
        i32x4.add
        local.get 28
        local.get 29
        local.get 33
        v128.xor
        local.tee 29
        local.get 29
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 29
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 31
        local.get 29
        v128.xor
        local.tee 29
        local.get 29
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 29
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 32
        local.get 11
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 16
        i32.const 20
        i32x4.shl
        local.get 16
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 16
        i32x4.add
        local.tee 32
        local.get 33
        v128.xor
        local.tee 33
        local.get 33
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 33
        i32x4.add
        local.tee 34
        local.get 35
        local.get 9
        i32x4.add
        local.get 28
        local.get 29
        i32x4.add
        local.tee 28
        local.get 26
        v128.xor
        local.tee 26
        i32.const 25
        i32x4.shl
        local.get 26
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 29
        local.get 13
        i32x4.add
        local.get 27
        local.get 30
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 27
        local.get 29
        local.get 22
        v128.xor
        local.tee 22
        local.get 22
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 22
        i32x4.add
        local.tee 29
        local.get 26
        v128.xor
        local.tee 26
        i32.const 20
        i32x4.shl
        local.get 26
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 26
        i32x4.add
        local.tee 30
        local.get 4
        i32x4.add
        local.get 28
        local.get 24
        local.get 10
        i32x4.add
        local.get 37
        local.get 23
        v128.xor
        local.tee 4
        i32.const 25
        i32x4.shl
        local.get 4
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 4
        i32x4.add
        local.tee 23
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 24
        local.get 23
        local.get 18
        i32x4.add
        local.get 24
        local.get 4
        v128.xor
        local.tee 4
        i32.const 20
        i32x4.shl
        local.get 4
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 4
        i32x4.add
        local.tee 23
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 21
        i32x4.add
        local.tee 24
        local.get 4
        v128.xor
        local.tee 4
        i32.const 25
        i32x4.shl
        local.get 4
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 4
        i32x4.add
        local.tee 28
        local.get 31
        local.get 8
        i32x4.add
        local.get 27
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 27
        local.get 5
        i32x4.add
        local.get 25
        local.get 27
        local.get 36
        v128.xor
        local.tee 27
        local.get 27
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 27
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 31
        local.get 27
        v128.xor
        local.tee 27
        local.get 27
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 27
        v128.xor
        local.tee 35
        local.get 35
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 35
        i32x4.add
        local.tee 36
        local.get 28
        local.get 3
        i32x4.add
        local.get 36
        local.get 4
        v128.xor
        local.tee 4
        i32.const 20
        i32x4.shl
        local.get 4
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 4
        i32x4.add
        local.tee 3
        local.get 35
        v128.xor
        local.tee 28
        local.get 28
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 28
        i32x4.add
        local.tee 35
        local.get 32
        local.get 15
        i32x4.add
        local.get 25
        local.get 27
        i32x4.add
        local.tee 15
        local.get 20
        v128.xor
        local.tee 20
        i32.const 25
        i32x4.shl
        local.get 20
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 25
        local.get 19
        i32x4.add
        local.get 29
        local.get 30
        local.get 22
        v128.xor
        local.tee 19
        local.get 19
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 19
        i32x4.add
        local.tee 22
        local.get 25
        local.get 21
        v128.xor
        local.tee 21
        local.get 21
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 21
        i32x4.add
        local.tee 25
        local.get 20
        v128.xor
        local.tee 20
        i32.const 20
        i32x4.shl
        local.get 20
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 20
        i32x4.add
        local.tee 27
        local.get 17
        i32x4.add
        local.get 15
        local.get 23
        local.get 12
        i32x4.add
        local.get 34
        local.get 16
        v128.xor
        local.tee 12
        i32.const 25
        i32x4.shl
        local.get 12
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 12
        i32x4.add
        local.tee 17
        local.get 19
        v128.xor
        local.tee 19
        local.get 19
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 19
        i32x4.add
        local.tee 15
        local.get 17
        local.get 10
        i32x4.add
        local.get 15
        local.get 12
        v128.xor
        local.tee 12
        i32.const 20
        i32x4.shl
        local.get 12
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 12
        i32x4.add
        local.tee 10
        local.get 19
        v128.xor
        local.tee 15
        local.get 15
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 15
        i32x4.add
        local.tee 17
        local.get 12
        v128.xor
        local.tee 12
        i32.const 25
        i32x4.shl
        local.get 12
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 12
        i32x4.add
        local.tee 19
        local.get 31
        local.get 6
        i32x4.add
        local.get 22
        local.get 26
        v128.xor
        local.tee 6
        i32.const 25
        i32x4.shl
        local.get 6
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 6
        i32x4.add
        local.tee 16
        local.get 13
        i32x4.add
        local.get 24
        local.get 16
        local.get 33
        v128.xor
        local.tee 13
        local.get 13
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 13
        i32x4.add
        local.tee 16
        local.get 6
        v128.xor
        local.tee 6
        i32.const 20
        i32x4.shl
        local.get 6
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 6
        i32x4.add
        local.tee 22
        local.get 13
        v128.xor
        local.tee 13
        local.get 13
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 13
        v128.xor
        local.tee 23
        local.get 23
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 23
        i32x4.add
        local.tee 24
        local.get 19
        local.get 18
        i32x4.add
        local.get 24
        local.get 12
        v128.xor
        local.tee 12
        i32.const 20
        i32x4.shl
        local.get 12
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 12
        i32x4.add
        local.tee 18
        local.get 23
        v128.xor
        local.tee 19
        local.get 19
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 19
        i32x4.add
        local.tee 23
        local.get 3
        local.get 11
        i32x4.add
        local.get 16
        local.get 13
        i32x4.add
        local.tee 11
        local.get 6
        v128.xor
        local.tee 6
        i32.const 25
        i32x4.shl
        local.get 6
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 6
        i32x4.add
        local.tee 13
        local.get 8
        i32x4.add
        local.get 25
        local.get 27
        local.get 21
        v128.xor
        local.tee 8
        local.get 8
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 3
        i32x4.add
        local.tee 16
        local.get 13
        local.get 15
        v128.xor
        local.tee 8
        local.get 8
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 13
        i32x4.add
        local.tee 15
        local.get 6
        v128.xor
        local.tee 8
        i32.const 20
        i32x4.shl
        local.get 8
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 6
        i32x4.add
        local.tee 21
        v128.xor
        local.tee 8
        v128.store offset=1056
        i32.const 0
        local.get 11
        local.get 10
        local.get 9
        i32x4.add
        local.get 35
        local.get 4
        v128.xor
        local.tee 4
        i32.const 25
        i32x4.shl
        local.get 4
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 4
        i32x4.add
        local.tee 10
        local.get 3
        v128.xor
        local.tee 9
        local.get 9
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 9
        i32x4.add
        local.tee 11
        local.get 10
        local.get 7
        i32x4.add
        local.get 11
        local.get 4
        v128.xor
        local.tee 4
        i32.const 20
        i32x4.shl
        local.get 4
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 4
        i32x4.add
        local.tee 10
        local.get 9
        v128.xor
        local.tee 9
        local.get 9
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 11
        i32x4.add
        local.tee 24
        local.get 14
        local.get 22
        local.get 5
        i32x4.add
        local.get 16
        local.get 20
        v128.xor
        local.tee 9
        i32.const 25
        i32x4.shl
        local.get 9
        i32.const 7
        i32x4.shr_u
        v128.or
        local.tee 9
        i32x4.add
        local.tee 5
        i32x4.add
        local.get 17
        local.get 5
        local.get 28
        v128.xor
        local.tee 5
        local.get 5
        i8x16.shuffle 2 3 0 1 6 7 4 5 10 11 8 9 14 15 12 13
        local.tee 5
        i32x4.add
        local.tee 3
        local.get 9
        v128.xor
        local.tee 9
        i32.const 20
        i32x4.shl
        local.get 9
        i32.const 12
        i32x4.shr_u
        v128.or
        local.tee 14
        i32x4.add
        local.tee 9
        v128.xor
        local.tee 7
        v128.store offset=1072
        i32.const 0
        local.get 3
        local.get 9
        local.get 5
        v128.xor
        local.tee 9
        local.get 9
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 17
        i32x4.add
        local.tee 16
        local.get 10
        v128.xor
        local.tee 9
        v128.store offset=1040
        i32.const 0
        local.get 15
        local.get 21
        local.get 13
        v128.xor
        local.tee 10
        local.get 10
        i8x16.shuffle 1 2 3 0 5 6 7 4 9 10 11 8 13 14 15 12
        local.tee 5
        i32x4.add
        local.tee 13
        local.get 18
        v128.xor
        local.tee 10
        v128.store offset=1024
        i32.const 0
        local.get 23
        local.get 12
        v128.xor
        local.tee 12
        i32.const 25
        i32x4.shl
        local.get 12
        i32.const 7
        i32x4.shr_u
        v128.or
        local.get 5
        v128.xor
        local.tee 5
        v128.store offset=1104
        i32.const 0
        local.get 13
        local.get 6
        v128.xor
        local.tee 12
        i32.const 25
        i32x4.shl
        local.get 12
        i32.const 7
        i32x4.shr_u
        v128.or
        local.get 19
        v128.xor
        local.tee 3
        v128.store offset=1136
        i32.const 0
        local.get 24
        local.get 4
        v128.xor
        local.tee 12
        i32.const 25
        i32x4.shl
        local.get 12
        i32.const 7
        i32x4.shr_u
        v128.or
        local.get 17
        v128.xor
        local.tee 4
        v128.store offset=1120
        i32.const 0
        local.get 16
        local.get 14
        v128.xor
        local.tee 12
        i32.const 25
        i32x4.shl
        local.get 12
        i32.const 7
        i32x4.shr_u
        v128.or
        local.get 11
        v128.xor
        local.tee 6
        v128.store offset=1088
        local.get 1
        i32.const 15
        i32.and
        i32.const 4
        i32.shl
        local.get 1
        i32.const 3
        i32.and
        i32.const 2
        i32.shl
        i32.or
        i32.const 1152
        i32.add
        local.tee 2
        local.get 2
        i32.load
        local.get 1
        i32.const 7
        i32.and
        i32.const 4
        i32.shl
        i32.const 1024
        i32.add
        i32.load
        i32.add
        i32.store
        local.get 0
        local.get 1
        i32.const 1
        i32.add
        local.tee 1
        i32.ne
        br_if 0
      end
      local.get 10
      i32x4.extract_lane 0
      local.set 2
    end
    i32.const -120
    local.set 1
    block
      loop
        local.get 1
        i32.const 1148
        i32.add
        i32.load
        local.get 2
        i32.const 5
        i32.rotl
        i32.xor
        local.set 2
        local.get 1
        i32.eqz
        br_if 1
        local.get 1
        i32.const 1152
        i32.add
        i32.load
        local.get 2
        i32.const 5
        i32.rotl
        i32.xor
        local.set 2
        local.get 1
        i32.const 8
        i32.add
        local.set 1
        br 0
      end
    end
    local.get 2))
