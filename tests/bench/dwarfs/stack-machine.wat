;; An interpreter: byte codes over a stack in memory, one br_table; the program counts down from n and mixes.
;; run(n) = its result.
(module
  (memory 1)
  (data (i32.const 0) "\01\00\04\1f\05\01\01\06\07\02\00\01\00\01\01\03\02\00\01\01\04\01\08\02\01\01\01\09\00\0a")
  (func (export "run") (param $n i32) (result i32)
    (local $pc i32) (local $sp i32) (local $op i32)
    (local.set $pc (i32.const 0))
    (local.set $sp (i32.const 256))
    (i32.store (i32.const 128) (i32.const 0))
    (i32.store (i32.const 132) (local.get $n))
    (block $out2
      (loop $loop1
        (local.set $op (i32.load8_u (local.get $pc)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
        (block $join4
          (block $case15
            (block $case14
              (block $case13
                (block $case12
                  (block $case11
                    (block $case10
                      (block $case9
                        (block $case8
                          (block $case7
                            (block $case6
                              (block $case5
                                (br_table $case15 $case5 $case6 $case7 $case8 $case9 $case10 $case11 $case12 $case13 $case14 $case15
                                  (local.get $op)))
                              (local.set $sp (i32.add (local.get $sp) (i32.const 4)))
                              (i32.store (local.get $sp) (i32.load offset=128 (i32.and (i32.shl (i32.load8_u
                                (local.get $pc)) (i32.const 2)) (i32.const 4))))
                              (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
                              (br $join4))
                            (i32.store offset=128 (i32.and (i32.shl (i32.load8_u (local.get $pc)) (i32.const 2))
                              (i32.const 4)) (i32.load (local.get $sp)))
                            (local.set $sp (i32.sub (local.get $sp) (i32.const 4)))
                            (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
                            (br $join4))
                          (local.set $sp (i32.sub (local.get $sp) (i32.const 4)))
                          (i32.store (local.get $sp) (i32.add (i32.load (local.get $sp)) (i32.load offset=4
                            (local.get $sp))))
                          (br $join4))
                        (local.set $sp (i32.add (local.get $sp) (i32.const 4)))
                        (i32.store (local.get $sp) (i32.load8_u (local.get $pc)))
                        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
                        (br $join4))
                      (local.set $sp (i32.sub (local.get $sp) (i32.const 4)))
                      (i32.store (local.get $sp) (i32.mul (i32.load (local.get $sp)) (i32.load offset=4
                        (local.get $sp))))
                      (br $join4))
                    (local.set $sp (i32.sub (local.get $sp) (i32.const 4)))
                    (i32.store (local.get $sp) (i32.xor (i32.load (local.get $sp)) (i32.load offset=4
                      (local.get $sp))))
                    (br $join4))
                  (i32.store (local.get $sp) (i32.rotl (i32.load (local.get $sp)) (i32.const 7)))
                  (br $join4))
                (local.set $sp (i32.sub (local.get $sp) (i32.const 4)))
                (i32.store (local.get $sp) (i32.sub (i32.load (local.get $sp)) (i32.load offset=4 (local.get $sp))))
                (br $join4))
              (local.set $sp (i32.sub (local.get $sp) (i32.const 4)))
              (if (i32.load offset=4 (local.get $sp))
                (then
                  (local.set $pc (i32.load8_u (local.get $pc))))
                (else
                  (local.set $pc (i32.add (local.get $pc) (i32.const 1)))))
              (br $join4))
            (return (i32.load (i32.const 128)))
            (br $join4))
          (return (i32.const -1)))
        (br $loop1)))
    (i32.const 0)))
