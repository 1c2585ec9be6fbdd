(module
  (type (;0;) (func (param i32) (result i32)))
  (table (;0;) 1 1 funcref)
  (memory (;0;) 1)
  (global (;0;) (mut i32) (i32.const 5504))
  (export "memory" (memory 0))
  (export "run" (func 0))
  (func (;0;) (type 0) (param i32) (result i32)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
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
      local.get 0
      i32.const 1
      i32.lt_s
      br_if 0
      i32.const 0
      local.set 3
      loop
        i32.const 0
        local.set 1
        loop
          local.get 1
          i32.const 1056
          i32.add
          local.tee 4
          local.get 1
          i32.const 1344
          i32.add
          i32.load
          local.tee 2
          local.get 1
          i32.const 1232
          i32.add
          i32.load
          local.tee 5
          local.get 1
          i32.const 1120
          i32.add
          local.tee 6
          i32.load
          local.tee 7
          local.get 4
          i32.load
          i32.add
          local.get 1
          i32.const 1216
          i32.add
          i32.load
          local.tee 4
          i32.add
          local.tee 8
          i32.add
          local.get 8
          i32.const 16
          i32.rotl
          i32.const 4194304
          i32.xor
          local.tee 9
          i32.const 1013904242
          i32.add
          local.tee 10
          local.get 7
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 11
          i32.add
          local.tee 12
          i32.add
          local.get 1
          i32.const 1264
          i32.add
          i32.load
          local.tee 7
          local.get 1
          i32.const 1136
          i32.add
          local.tee 13
          i32.load
          local.tee 14
          local.get 1
          i32.const 1072
          i32.add
          local.tee 15
          i32.load
          i32.add
          local.get 1
          i32.const 1248
          i32.add
          i32.load
          local.tee 8
          i32.add
          local.tee 16
          i32.add
          local.get 16
          i32.const 16
          i32.rotl
          i32.const 720896
          i32.xor
          local.tee 16
          i32.const -1521486534
          i32.add
          local.tee 17
          local.get 14
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 14
          i32.add
          local.tee 18
          local.get 16
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 17
          i32.add
          local.tee 20
          local.get 14
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 21
          i32.add
          local.tee 22
          local.get 1
          i32.const 1360
          i32.add
          i32.load
          local.tee 14
          i32.add
          local.get 22
          local.get 1
          i32.const 1200
          i32.add
          i32.load
          local.tee 16
          local.get 1
          i32.const 1104
          i32.add
          local.tee 23
          i32.load
          local.tee 24
          local.get 1
          i32.const 1040
          i32.add
          local.tee 25
          i32.load
          i32.add
          local.get 1
          i32.const 1184
          i32.add
          i32.load
          local.tee 17
          i32.add
          local.tee 26
          i32.add
          local.get 26
          i32.const 16
          i32.rotl
          local.tee 26
          i32.const -1150833019
          i32.add
          local.tee 27
          local.get 24
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 26
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 26
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 30
          local.get 1
          i32.const 1168
          i32.add
          i32.load
          local.tee 22
          local.get 1
          i32.const 1088
          i32.add
          local.tee 31
          i32.load
          local.tee 32
          local.get 1
          i32.const 1024
          i32.add
          local.tee 33
          i32.load
          i32.add
          local.get 1
          i32.const 1152
          i32.add
          i32.load
          local.tee 24
          i32.add
          local.tee 34
          i32.add
          local.get 34
          local.get 3
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 34
          i32.const 1779033703
          i32.add
          local.tee 35
          local.get 32
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 32
          i32.add
          local.tee 36
          local.get 34
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 35
          i32.add
          local.tee 35
          i32.add
          local.tee 37
          local.get 21
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 38
          i32.add
          local.tee 39
          local.get 7
          i32.add
          local.get 1
          i32.const 1312
          i32.add
          i32.load
          local.tee 21
          local.get 29
          i32.add
          local.get 12
          local.get 9
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 12
          local.get 10
          i32.add
          local.tee 29
          local.get 11
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 10
          i32.add
          local.tee 11
          local.get 1
          i32.const 1328
          i32.add
          i32.load
          local.tee 9
          i32.add
          local.get 11
          local.get 34
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 11
          local.get 20
          i32.add
          local.tee 20
          local.get 10
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 10
          i32.add
          local.tee 34
          local.get 11
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 40
          local.get 20
          i32.add
          local.tee 20
          local.get 10
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 41
          i32.add
          local.tee 42
          local.get 24
          i32.add
          local.get 42
          local.get 18
          local.get 35
          local.get 32
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 32
          i32.add
          local.get 1
          i32.const 1376
          i32.add
          i32.load
          local.tee 10
          i32.add
          local.tee 18
          local.get 1
          i32.const 1392
          i32.add
          i32.load
          local.tee 11
          i32.add
          local.get 18
          local.get 12
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 12
          local.get 26
          local.get 27
          i32.add
          local.tee 18
          i32.add
          local.tee 26
          local.get 32
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 27
          i32.add
          local.tee 32
          local.get 12
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 35
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 42
          local.get 1
          i32.const 1280
          i32.add
          i32.load
          local.tee 12
          local.get 36
          i32.add
          local.get 18
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 36
          local.get 1
          i32.const 1296
          i32.add
          i32.load
          local.tee 18
          i32.add
          local.get 19
          local.get 36
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 29
          i32.add
          local.tee 29
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 36
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 29
          i32.add
          local.tee 29
          i32.add
          local.tee 43
          local.get 41
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 41
          i32.add
          local.tee 44
          local.get 18
          i32.add
          local.get 32
          local.get 4
          i32.add
          local.get 39
          local.get 30
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 30
          local.get 37
          i32.add
          local.tee 32
          local.get 38
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 38
          local.get 14
          i32.add
          local.get 38
          local.get 19
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 38
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 39
          local.get 10
          i32.add
          local.get 39
          local.get 34
          local.get 16
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 21
          i32.add
          local.get 30
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 29
          local.get 35
          local.get 26
          i32.add
          local.tee 26
          i32.add
          local.tee 30
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 34
          local.get 29
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 35
          local.get 36
          local.get 17
          i32.add
          local.get 26
          local.get 27
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 27
          local.get 8
          i32.add
          local.get 27
          local.get 40
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 32
          i32.add
          local.tee 32
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 36
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 32
          i32.add
          local.tee 32
          i32.add
          local.tee 39
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 40
          local.get 14
          i32.add
          local.get 34
          local.get 2
          i32.add
          local.get 44
          local.get 42
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 43
          i32.add
          local.tee 42
          local.get 41
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 41
          i32.add
          local.tee 43
          local.get 5
          i32.add
          local.get 43
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 41
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 41
          i32.add
          local.tee 43
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 41
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 41
          i32.add
          local.tee 44
          local.get 17
          i32.add
          local.get 44
          local.get 38
          local.get 11
          i32.add
          local.get 32
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 32
          local.get 12
          i32.add
          local.get 32
          local.get 34
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 32
          local.get 29
          local.get 30
          i32.add
          local.tee 29
          i32.add
          local.tee 30
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 34
          local.get 32
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 32
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 38
          local.get 36
          local.get 22
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 9
          i32.add
          local.get 19
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 42
          i32.add
          local.tee 29
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 36
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 29
          i32.add
          local.tee 29
          i32.add
          local.tee 42
          local.get 41
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 41
          i32.add
          local.tee 44
          local.get 9
          i32.add
          local.get 34
          local.get 7
          i32.add
          local.get 40
          local.get 35
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 39
          i32.add
          local.tee 35
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 39
          local.get 10
          i32.add
          local.get 39
          local.get 19
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 39
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 40
          local.get 11
          i32.add
          local.get 40
          local.get 43
          local.get 21
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 2
          i32.add
          local.get 34
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 29
          local.get 32
          local.get 30
          i32.add
          local.tee 30
          i32.add
          local.tee 32
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 34
          local.get 29
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 40
          local.get 36
          local.get 16
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 30
          local.get 4
          i32.add
          local.get 30
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 35
          i32.add
          local.tee 30
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 35
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 30
          i32.add
          local.tee 30
          i32.add
          local.tee 36
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 43
          local.get 10
          i32.add
          local.get 34
          local.get 18
          i32.add
          local.get 44
          local.get 38
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 42
          i32.add
          local.tee 38
          local.get 41
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 41
          i32.add
          local.tee 42
          local.get 24
          i32.add
          local.get 42
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 41
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 41
          i32.add
          local.tee 42
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 41
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 41
          i32.add
          local.tee 44
          local.get 16
          i32.add
          local.get 44
          local.get 39
          local.get 12
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 30
          local.get 22
          i32.add
          local.get 30
          local.get 34
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 30
          local.get 29
          local.get 32
          i32.add
          local.tee 29
          i32.add
          local.tee 32
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 34
          local.get 30
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 30
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 39
          local.get 35
          local.get 8
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 5
          i32.add
          local.get 19
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 38
          i32.add
          local.tee 29
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 35
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 29
          i32.add
          local.tee 29
          i32.add
          local.tee 38
          local.get 41
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 41
          i32.add
          local.tee 44
          local.get 5
          i32.add
          local.get 34
          local.get 14
          i32.add
          local.get 43
          local.get 40
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 36
          i32.add
          local.tee 36
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 40
          local.get 11
          i32.add
          local.get 40
          local.get 19
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 40
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 43
          local.get 12
          i32.add
          local.get 43
          local.get 42
          local.get 2
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 18
          i32.add
          local.get 34
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 29
          local.get 30
          local.get 32
          i32.add
          local.tee 30
          i32.add
          local.tee 32
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 34
          local.get 29
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 42
          local.get 35
          local.get 21
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 30
          local.get 7
          i32.add
          local.get 30
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 36
          i32.add
          local.tee 30
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 35
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 30
          i32.add
          local.tee 30
          i32.add
          local.tee 36
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 43
          local.get 11
          i32.add
          local.get 34
          local.get 9
          i32.add
          local.get 44
          local.get 39
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 38
          i32.add
          local.tee 38
          local.get 41
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 39
          i32.add
          local.tee 41
          local.get 17
          i32.add
          local.get 41
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 39
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 39
          i32.add
          local.tee 41
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 39
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 39
          i32.add
          local.tee 44
          local.get 21
          i32.add
          local.get 44
          local.get 40
          local.get 22
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 30
          local.get 8
          i32.add
          local.get 30
          local.get 34
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 30
          local.get 29
          local.get 32
          i32.add
          local.tee 29
          i32.add
          local.tee 32
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 34
          local.get 30
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 30
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 40
          local.get 35
          local.get 4
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 24
          i32.add
          local.get 19
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 38
          i32.add
          local.tee 29
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 35
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 29
          i32.add
          local.tee 29
          i32.add
          local.tee 38
          local.get 39
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 39
          i32.add
          local.tee 44
          local.get 24
          i32.add
          local.get 34
          local.get 10
          i32.add
          local.get 43
          local.get 42
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 36
          i32.add
          local.tee 36
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 42
          local.get 12
          i32.add
          local.get 42
          local.get 19
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 42
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 43
          local.get 22
          i32.add
          local.get 43
          local.get 41
          local.get 18
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 9
          i32.add
          local.get 34
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 29
          local.get 30
          local.get 32
          i32.add
          local.tee 30
          i32.add
          local.tee 32
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 34
          local.get 29
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 41
          local.get 35
          local.get 2
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 30
          local.get 14
          i32.add
          local.get 30
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 36
          i32.add
          local.tee 30
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 35
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 30
          i32.add
          local.tee 30
          i32.add
          local.tee 36
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 43
          local.get 12
          i32.add
          local.get 34
          local.get 5
          i32.add
          local.get 44
          local.get 40
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 38
          i32.add
          local.tee 38
          local.get 39
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 39
          i32.add
          local.tee 40
          local.get 16
          i32.add
          local.get 40
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 39
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 39
          i32.add
          local.tee 40
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 39
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 39
          i32.add
          local.tee 44
          local.get 2
          i32.add
          local.get 44
          local.get 42
          local.get 8
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 30
          local.get 4
          i32.add
          local.get 30
          local.get 34
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 30
          local.get 29
          local.get 32
          i32.add
          local.tee 29
          i32.add
          local.tee 32
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 34
          local.get 30
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 30
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 42
          local.get 35
          local.get 7
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 17
          i32.add
          local.get 19
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 38
          i32.add
          local.tee 29
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 35
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 29
          i32.add
          local.tee 29
          i32.add
          local.tee 38
          local.get 39
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 39
          i32.add
          local.tee 44
          local.get 17
          i32.add
          local.get 34
          local.get 11
          i32.add
          local.get 43
          local.get 41
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 34
          local.get 36
          i32.add
          local.tee 36
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 41
          local.get 22
          i32.add
          local.get 41
          local.get 19
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 41
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 20
          i32.add
          local.tee 20
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 37
          i32.add
          local.tee 43
          local.get 8
          i32.add
          local.get 43
          local.get 40
          local.get 9
          i32.add
          local.get 29
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 28
          i32.add
          local.tee 29
          local.get 5
          i32.add
          local.get 34
          local.get 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 29
          local.get 30
          local.get 32
          i32.add
          local.tee 30
          i32.add
          local.tee 32
          local.get 28
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 28
          i32.add
          local.tee 34
          local.get 29
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 29
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 40
          local.get 35
          local.get 18
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 30
          local.get 10
          i32.add
          local.get 30
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 36
          i32.add
          local.tee 30
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 35
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 30
          i32.add
          local.tee 30
          i32.add
          local.tee 36
          local.get 37
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 37
          i32.add
          local.tee 43
          local.get 22
          i32.add
          local.get 34
          local.get 24
          i32.add
          local.get 44
          local.get 42
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 22
          local.get 38
          i32.add
          local.tee 34
          local.get 39
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 38
          i32.add
          local.tee 39
          local.get 21
          i32.add
          local.get 39
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 38
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 38
          i32.add
          local.tee 39
          local.get 27
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 27
          local.get 20
          i32.add
          local.tee 20
          local.get 38
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 38
          i32.add
          local.tee 42
          local.get 18
          i32.add
          local.get 42
          local.get 41
          local.get 4
          i32.add
          local.get 30
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 18
          i32.add
          local.tee 26
          local.get 7
          i32.add
          local.get 26
          local.get 22
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 22
          local.get 29
          local.get 32
          i32.add
          local.tee 26
          i32.add
          local.tee 29
          local.get 18
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 18
          i32.add
          local.tee 30
          local.get 22
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 22
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 32
          local.get 35
          local.get 14
          i32.add
          local.get 26
          local.get 28
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 26
          i32.add
          local.tee 28
          local.get 16
          i32.add
          local.get 19
          local.get 28
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 19
          local.get 34
          i32.add
          local.tee 28
          local.get 26
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 26
          i32.add
          local.tee 34
          local.get 19
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 19
          local.get 28
          i32.add
          local.tee 28
          i32.add
          local.tee 35
          local.get 38
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 38
          i32.add
          local.tee 41
          local.get 16
          i32.add
          local.get 30
          local.get 12
          i32.add
          local.get 43
          local.get 40
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 16
          local.get 36
          i32.add
          local.tee 12
          local.get 37
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 30
          i32.add
          local.tee 36
          local.get 8
          i32.add
          local.get 36
          local.get 19
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 8
          local.get 20
          i32.add
          local.tee 19
          local.get 30
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 20
          i32.add
          local.tee 30
          local.get 8
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 8
          local.get 19
          i32.add
          local.tee 19
          local.get 20
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 20
          i32.add
          local.tee 36
          local.get 4
          i32.add
          local.get 36
          local.get 39
          local.get 5
          i32.add
          local.get 28
          local.get 26
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 5
          i32.add
          local.tee 4
          local.get 24
          i32.add
          local.get 16
          local.get 4
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 4
          local.get 22
          local.get 29
          i32.add
          local.tee 16
          i32.add
          local.tee 22
          local.get 5
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 5
          i32.add
          local.tee 24
          local.get 4
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 4
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 26
          local.get 34
          local.get 9
          i32.add
          local.get 16
          local.get 18
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 16
          i32.add
          local.tee 9
          local.get 11
          i32.add
          local.get 9
          local.get 27
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 9
          local.get 12
          i32.add
          local.tee 11
          local.get 16
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 16
          i32.add
          local.tee 12
          local.get 9
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 9
          local.get 11
          i32.add
          local.tee 11
          i32.add
          local.tee 18
          local.get 20
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 20
          i32.add
          local.tee 27
          local.get 12
          local.get 10
          i32.add
          local.get 4
          local.get 22
          i32.add
          local.tee 4
          local.get 5
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 5
          i32.add
          local.tee 22
          local.get 21
          i32.add
          local.get 22
          local.get 8
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 8
          local.get 41
          local.get 32
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 22
          local.get 35
          i32.add
          local.tee 21
          i32.add
          local.tee 10
          local.get 5
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 5
          i32.add
          local.tee 12
          local.get 8
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 8
          local.get 10
          i32.add
          local.tee 10
          i32.xor
          i32.store
          local.get 15
          local.get 14
          local.get 30
          local.get 7
          i32.add
          local.get 11
          local.get 16
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 7
          i32.add
          local.tee 16
          i32.add
          local.get 16
          local.get 22
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 14
          local.get 4
          i32.add
          local.tee 4
          local.get 7
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 7
          i32.add
          local.tee 16
          local.get 2
          local.get 24
          local.get 17
          i32.add
          local.get 21
          local.get 38
          i32.xor
          i32.const 25
          i32.rotl
          local.tee 17
          i32.add
          local.tee 22
          i32.add
          local.get 22
          local.get 9
          i32.xor
          i32.const 16
          i32.rotl
          local.tee 2
          local.get 19
          i32.add
          local.tee 22
          local.get 17
          i32.xor
          i32.const 20
          i32.rotl
          local.tee 17
          i32.add
          local.tee 24
          local.get 2
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 2
          local.get 22
          i32.add
          local.tee 22
          i32.xor
          i32.store
          local.get 33
          local.get 27
          local.get 26
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 21
          local.get 18
          i32.add
          local.tee 9
          local.get 12
          i32.xor
          i32.store
          local.get 23
          local.get 21
          local.get 10
          local.get 5
          i32.xor
          i32.const 25
          i32.rotl
          i32.xor
          i32.store
          local.get 25
          local.get 16
          local.get 14
          i32.xor
          i32.const 24
          i32.rotl
          local.tee 5
          local.get 4
          i32.add
          local.tee 4
          local.get 24
          i32.xor
          i32.store
          local.get 13
          local.get 9
          local.get 20
          i32.xor
          i32.const 25
          i32.rotl
          local.get 8
          i32.xor
          i32.store
          local.get 6
          local.get 5
          local.get 22
          local.get 17
          i32.xor
          i32.const 25
          i32.rotl
          i32.xor
          i32.store
          local.get 31
          local.get 4
          local.get 7
          i32.xor
          i32.const 25
          i32.rotl
          local.get 2
          i32.xor
          i32.store
          local.get 1
          i32.const 4
          i32.add
          local.tee 1
          i32.const 16
          i32.ne
          br_if 0
        end
        local.get 3
        i32.const 15
        i32.and
        i32.const 4
        i32.shl
        local.get 3
        i32.const 3
        i32.and
        i32.const 2
        i32.shl
        i32.or
        i32.const 1152
        i32.add
        local.tee 1
        local.get 1
        i32.load
        local.get 3
        i32.const 7
        i32.and
        i32.const 4
        i32.shl
        i32.const 1024
        i32.add
        i32.load
        i32.add
        i32.store
        local.get 3
        i32.const 1
        i32.add
        local.tee 3
        local.get 0
        i32.ne
        br_if 0
      end
    end
    i32.const 0
    local.set 2
    i32.const -128
    local.set 1
    loop
      local.get 1
      i32.const 1156
      i32.add
      i32.load
      local.get 1
      i32.const 1152
      i32.add
      i32.load
      local.get 2
      i32.const 5
      i32.rotl
      i32.xor
      i32.const 5
      i32.rotl
      i32.xor
      local.set 2
      local.get 1
      i32.const 8
      i32.add
      local.tee 1
      br_if 0
    end
    local.get 2))
