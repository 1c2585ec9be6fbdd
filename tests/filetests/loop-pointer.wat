;; The base of memory is in r11 throughout an innermost loop that needs r11 for nothing else: it is loaded before the
;; loop, not where ways back lead, and again behind a poll that others ran in. Not where two values change places,
;; where a comparison of floats needs r11, nor beside a call.
;;! show: asm
;;! run: skip 0 12 => 26
;;! run: skip 1 12 => 31
;;! run: find 8 => 12
;;! run: find 7 => 4
;;! run: find 6 => 0
;;! run: swap 1 2 3 => 40
;;! run: equal 16 => 2
;;! run: calls 16 => 30
;;! run: nest 3 => 63
(module (memory 1) (data (i32.const 4) "\05\00\00\00\07\00\00\00\09\00\00\00\08\00\00\00")
  (func $g (result i32) (i32.const 1))
  (func $skip (export "skip") (param i32 i32) (result i32) (local i32)
    (if (local.get 0) (then (local.set 2 (i32.load (i32.const 4)))) (else (local.set 2 (i32.const 5))
      (local.set 2 (i32.sub (local.get 2) (call $g))) (local.set 2 (i32.sub (local.get 2) (i32.const 4)))))
    (loop $l
      (local.set 2 (i32.add (local.get 2) (i32.load (local.get 1))))
      (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 4)))))
    (i32.add (local.get 2) (i32.load (i32.const 4))))
  (func $find (export "find") (param i32) (result i32) (local i32)
    (local.set 1 (i32.const 16))
    (block $out (loop $l
      (if (i32.eq (i32.load offset=4 (local.get 1)) (local.get 0)) (then (return (local.get 1))))
      (br_if $out (i32.eqz (local.tee 1 (i32.sub (local.get 1) (i32.const 4)))))
      (br_if $l (i32.load (local.get 1)))))
    (i32.const 0))
  (func $swap (export "swap") (param i32 i32 i32) (result i32) (local i32)
    (loop $l
      (local.set 3 (local.get 0)) (local.set 0 (local.get 1)) (local.set 1 (local.get 3))
      (local.set 0 (i32.add (local.get 0) (i32.load (i32.shl (local.get 2) (i32.const 2)))))
      (br_if $l (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
    (i32.add (i32.mul (local.get 0) (i32.const 2)) (local.get 1)))
  (func $equal (export "equal") (param i32) (result i32) (local i32)
    (loop $l
      (local.set 1 (i32.add (local.get 1) (f32.eq (f32.load (local.get 0)) (f32.load offset=4 (i32.const 0)))))
      (local.set 1 (i32.add (local.get 1) (i32.eq (i32.load (local.get 0)) (i32.const 7))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 4)))))
    (local.get 1))
  (func $calls (export "calls") (param i32) (result i32) (local i32)
    (loop $l
      (local.set 1 (i32.add (local.get 1) (i32.load (local.get 0))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.shl (call $g) (i32.const 2))))))
    (i32.add (local.get 1) (call $g)))
  (func $nest (export "nest") (param i32) (result i32) (local i32 i32)
    (loop $l
      (local.set 1 (i32.const 12))
      (loop $m
        (local.set 2 (i32.add (local.get 2) (i32.load (local.get 1))))
        (br_if $m (local.tee 1 (i32.sub (local.get 1) (i32.const 4)))))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 2)))
