;; cfg: who brings a constant to a block that only asks what it is brought goes where the answer leads, and the other way
;; asks by itself, in flags: no number is made of the comparison. So does a loop that goes on while two things hold.
;;! show: ssa opt asm
;;! passes: cfg
;;! allocator: splitting
;;! run: both 1 2 => 10
;;! run: both 0 2 => 20
;;! run: both 1 5 => 20
;;! run: either 0 0 => 3
;;! run: either 0 7 => 4
;;! run: either 2 0 => 4
;;! run: loops 5 => 15
;;! run: again 1 1 => 3
;;! run: again 1 9 => 0
(module
  (func $both (export "both") (param i32 i32) (result i32)
    (if (result i32) (if (result i32) (local.get 0) (then (i32.lt_s (local.get 1) (i32.const 3))) (else (i32.const 0)))
      (then (i32.const 10)) (else (i32.const 20))))
  (func $either (export "either") (param i32 i32) (result i32)
    (if (result i32) (i32.eqz (if (result i32) (local.get 0) (then (i32.const 1)) (else (local.get 1))))
      (then (i32.const 3)) (else (i32.const 4))))
  (func $loops (export "loops") (param i32) (result i32) (local i32)
    (loop $l
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if $l (if (result i32) (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))
        (then (i32.lt_s (local.get 1) (i32.const 100))) (else (i32.const 0)))))
    (local.get 1))
  (func $again (export "again") (param i32 i32) (result i32) (local i32)
    (local.set 2 (if (result i32) (local.get 0) (then (i32.lt_s (local.get 1) (i32.const 3))) (else (i32.const 0))))
    (if (local.get 2) (then (return (i32.add (local.get 2) (i32.const 2)))))
    (local.get 2)))
