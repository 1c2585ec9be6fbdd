;; checks: the second and third access lie below the end that the first proved; the last reaches farther.
;;! show: opt asm
;;! passes: checks
;;! plan: bounded
;;! run: f 0 => 6
;;! run: f 65516 => 6
;;! run: f 65520 => trap memory_out_of_bounds
(module (memory 1)
  (func $f (export "f") (param $p i32) (result i32)
    (i32.store offset=12 (local.get $p) (i32.const 6))
    (i32.store offset=4 (local.get $p) (i32.load offset=12 (local.get $p)))
    (i32.store offset=16 (local.get $p) (i32.load offset=4 (local.get $p)))
    (i32.load offset=12 (local.get $p))))
