;; An interpreter by call_indirect: each handler returns where the next instruction is; registers in memory.
;; run(n) = a register.
(module
  (memory 1)
  (type $handler (func (param i32) (result i32)))
  (table funcref (elem $halt $load $add $multiply $exclusive $decrement $branch))
  (data (i32.const 0) "\01\00\11\03\00\02\04\00\01\02\00\01\05\01\00\06\01\03\00\00\00")
  (func $halt (type $handler) (param $pc i32) (result i32)
    (i32.const -1))
  (func $load (type $handler) (param $pc i32) (result i32)
    (i32.store offset=256 (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2)) (i32.load8_u offset=2
      (local.get $pc)))
    (i32.add (local.get $pc) (i32.const 3)))
  (func $add (type $handler) (param $pc i32) (result i32)
    (i32.store offset=256 (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2)) (i32.add (i32.load offset=256
      (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2))) (i32.load offset=256 (i32.shl
      (i32.load8_u offset=2 (local.get $pc)) (i32.const 2)))))
    (i32.add (local.get $pc) (i32.const 3)))
  (func $multiply (type $handler) (param $pc i32) (result i32)
    (i32.store offset=256 (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2)) (i32.mul (i32.load offset=256
      (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2))) (i32.load offset=256 (i32.shl
      (i32.load8_u offset=2 (local.get $pc)) (i32.const 2)))))
    (i32.add (local.get $pc) (i32.const 3)))
  (func $exclusive (type $handler) (param $pc i32) (result i32)
    (i32.store offset=256 (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2)) (i32.xor (i32.load offset=256
      (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2))) (i32.load offset=256 (i32.shl
      (i32.load8_u offset=2 (local.get $pc)) (i32.const 2)))))
    (i32.add (local.get $pc) (i32.const 3)))
  (func $decrement (type $handler) (param $pc i32) (result i32)
    (i32.store offset=256 (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2)) (i32.sub (i32.load offset=256
      (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2))) (i32.const 1)))
    (i32.add (local.get $pc) (i32.const 3)))
  (func $branch (type $handler) (param $pc i32) (result i32)
    (select (i32.load8_u offset=2 (local.get $pc)) (i32.add (local.get $pc) (i32.const 3)) (i32.load offset=256
      (i32.shl (i32.load8_u offset=1 (local.get $pc)) (i32.const 2)))))
  (func (export "run") (param $n i32) (result i32)
    (local $pc i32)
    (i32.store offset=260 (i32.const 0) (local.get $n))
    (i32.store offset=264 (i32.const 0) (i32.const 1103515245))
    (local.set $pc (i32.const 0))
    (block $out2
      (br_if $out2 (i32.eqz (i32.ge_s (local.get $pc) (i32.const 0))))
      (loop $loop1
        (local.set $pc (call_indirect (type $handler) (local.get $pc) (i32.load8_u (local.get $pc))))
        (br_if $loop1 (i32.ge_s (local.get $pc) (i32.const 0)))))
    (i32.load offset=256 (i32.const 0))))
