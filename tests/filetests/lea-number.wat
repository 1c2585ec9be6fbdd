;; A short shift and the addition of a number to it are one address computation, copied or in place; a sum whose outcome
;; is tested keeps its flags, and so does a shift by more than three.
;;! show: asm
;;! passes: level 1
;;! machine: level 1
;;! allocator: splitting
;;! run: child 3 => 7
;;! run: child -1 => -1
;;! run: child 0x40000000 => -2147483647
;;! run: kept 5 => 42
;;! run: kept 0x60000000 => 1610612743
;;! run: less 3 => 9
;;! run: wide 3 => -76
;;! run: least 1 => -2147483646
;;! run: zero 4 => 7
;;! run: zero 5 => 3
;;! run: far 1 => 17
(module
  (func $child (export "child") (param i32) (result i32)
    (i32.add (i32.shl (local.get 0) (i32.const 1)) (i32.const 1)))
  (func $kept (export "kept") (param i32) (result i32)
    (i32.xor (i32.add (i32.shl (local.get 0) (i32.const 3)) (i32.const 7)) (local.get 0)))
  (func $less (export "less") (param i32) (result i32)
    (i32.sub (i32.shl (local.get 0) (i32.const 2)) (i32.const 3)))
  (func $wide (export "wide") (param i64) (result i64)
    (i64.add (i64.shl (local.get 0) (i64.const 3)) (i64.const -100)))
  (func $least (export "least") (param i32) (result i32)
    (i32.sub (i32.shl (local.get 0) (i32.const 1)) (i32.const 0x80000000)))
  (func $zero (export "zero") (param i32) (result i32)
    (if (result i32) (i32.eqz (i32.sub (i32.shl (local.get 0) (i32.const 2)) (i32.const 16)))
      (then (i32.const 7)) (else (i32.const 3))))
  (func $far (export "far") (param i32) (result i32)
    (i32.add (i32.shl (local.get 0) (i32.const 4)) (i32.const 1))))
