;; What asks whether the result of an `if` is zero is decided in its arms where no pass ran: no number is made of the
;; comparison there, and the constant leads on at once. So does `i32.eqz` of it; a result that is used again stays.
;;! show: asm
;;! run: both 1 2 => 10
;;! run: both 0 2 => 20
;;! run: both 1 5 => 20
;;! run: neither 0 3 => 7
;;! run: neither 9 3 => 8
;;! run: neither 0 9 => 8
;;! run: loops 5 => 15
;;! run: again 1 1 => 3
;;! run: again 1 9 => 0
;;! run: kept 1 1 => 0
;;! run: kept 1 9 => 5
;;! run: kept 0 1 => 5
;;! run: wide 0 => 2
;;! run: wide 1 => 1
(module
  (func $both (export "both") (param i32 i32) (result i32)
    (if (result i32) (if (result i32) (local.get 0) (then (i32.lt_s (local.get 1) (i32.const 3))) (else (i32.const 0)))
      (then (i32.const 10)) (else (i32.const 20))))
  (func $neither (export "neither") (param i32 i32) (result i32)
    (block $out
      (br_if $out (i32.eqz (if (result i32) (i32.eqz (local.get 0)) (then (i32.lt_u (local.get 1) (i32.const 4)))
        (else (i32.const 0)))))
      (return (i32.const 7)))
    (i32.const 8))
  (func $loops (export "loops") (param i32) (result i32) (local i32)
    (loop $l
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if $l (if (result i32) (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))
        (then (i32.lt_s (local.get 1) (i32.const 100))) (else (i32.const 0)))))
    (local.get 1))
  (func $again (export "again") (param i32 i32) (result i32) (local i32)
    (local.set 2 (if (result i32) (local.get 0) (then (i32.lt_s (local.get 1) (i32.const 3))) (else (i32.const 0))))
    (if (local.get 2) (then (return (i32.add (local.get 2) (i32.const 2)))))
    (local.get 2))
  (func $kept (export "kept") (param i32 i32) (result i32) (local i32)
    (if (local.tee 2 (i32.eqz (if (result i32) (local.get 0) (then (i32.lt_s (local.get 1) (i32.const 3)))
      (else (i32.const 0)))))
      (then (return (i32.add (local.get 2) (i32.const 4)))))
    (local.get 2))
  (func $wide (export "wide") (param i32) (result i32)
    (if (result i32) (i64.eqz (if (result i64) (local.get 0) (then (i64.const 0)) (else (i64.const 0x100000000))))
      (then (i32.const 1)) (else (i32.const 2)))))
