;; br_table: an interpreter loop over a small bytecode in memory. run(n) = the accumulator after n instructions.
(module
  (memory 1)
  (data (i32.const 0) "\00\01\02\03\04\01\05\02\00\03\06\01\04\02\05\07")
  (func (export "run") (param $n i32) (result i32)
    (local $pc i32) (local $acc i32)
    (local.set $acc (i32.const 1))
    (loop $next
      (block $continue
        (block $op7 (block $op6 (block $op5 (block $op4 (block $op3 (block $op2 (block $op1 (block $op0
          (br_table $op0 $op1 $op2 $op3 $op4 $op5 $op6 $op7 (i32.load8_u (i32.and (local.get $pc) (i32.const 15)))))
          (local.set $acc (i32.add (local.get $acc) (i32.const 7))) (br $continue))
          (local.set $acc (i32.mul (local.get $acc) (i32.const 3))) (br $continue))
          (local.set $acc (i32.xor (local.get $acc) (local.get $pc))) (br $continue))
          (local.set $acc (i32.rotl (local.get $acc) (i32.const 9))) (br $continue))
          (local.set $acc (i32.sub (local.get $acc) (local.get $n))) (br $continue))
          (local.set $acc (i32.or (local.get $acc) (i32.const 1))) (br $continue))
          (local.set $acc (i32.shr_u (local.get $acc) (i32.const 3))) (br $continue))
        (local.set $acc (i32.add (local.get $acc) (i32.popcnt (local.get $acc)))))
      (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $acc)))
