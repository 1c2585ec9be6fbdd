;; A short function that calls nothing has no frame and does not poll; its traps name its caller nevertheless.
;; Who has a loop, a call, words of the stack or parameters there has a frame.
;;! show: asm
;;! run: load 0 => 7
;;! run: load 65536 => trap memory_out_of_bounds
;;! run: count 3 => 0
;;! run: sum 2 => 11
(module
  (memory 1) (data (i32.const 0) "\07")
  (func $load (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func $count (export "count") (param i32) (result i32)
    (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 0))
  (func $many (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.add (local.get 0) (local.get 6)))
  (func $sum (export "sum") (param i32) (result i32)
    (call $many (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 9))))
