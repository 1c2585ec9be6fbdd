;; A comparison that two selects ask is one comparison and two conditional moves, also where a branch asks it behind them;
;; where something sets flags between, it is made anew, and no number of it either way.
;;! show: minst asm
;;! run: two 1 2 30 10 => 20
;;! run: two 2 1 30 10 => -20
;;! run: branch 1 2 30 10 => 300
;;! run: branch 2 1 30 10 => 10
;;! run: anew 1 2 30 10 => 20
;;! run: anew 2 1 30 10 => -40
;;! run: number 1 2 30 10 => 31
(module
  (func $two (export "two") (param i32 i32 i32 i32) (result i32) (local i32)
    (local.set 4 (i32.lt_u (local.get 0) (local.get 1)))
    (i32.sub
      (select (local.get 2) (local.get 3) (local.get 4))
      (select (local.get 3) (local.get 2) (local.get 4))))
  (func $branch (export "branch") (param i32 i32 i32 i32) (result i32) (local i32)
    (local.set 4 (i32.lt_u (local.get 0) (local.get 1)))
    (local.set 2 (select (local.get 2) (local.get 3) (local.get 4)))
    (if (local.get 4) (then (local.set 2 (i32.mul (local.get 2) (local.get 3)))))
    (local.get 2))
  (func $anew (export "anew") (param i32 i32 i32 i32) (result i32) (local i32)
    (local.set 4 (i32.lt_u (local.get 0) (local.get 1)))
    (local.set 2 (select (local.get 2) (i32.sub (i32.const 0) (local.get 2)) (local.get 4)))
    (i32.sub (local.get 2) (select (local.get 3) (i32.add (local.get 2) (i32.const 40)) (local.get 4))))
  (func $number (export "number") (param i32 i32 i32 i32) (result i32) (local i32)
    (local.set 4 (i32.lt_u (local.get 0) (local.get 1)))
    (i32.add (local.get 4) (select (local.get 2) (local.get 3) (local.get 4)))))
