;; A br_table whose index a `select` keeps in a few numbers has an entry for each, from the least one on, and no clamp:
;; what a conditional move gives is in them whatever the processor guessed. A bound of a test before says nothing.
;;! show: minst
;;! run: tag -10 => 3
;;! run: tag -9 => 3
;;! run: tag -1 => 3
;;! run: tag 0 => 1
;;! run: tag 1 => 2
;;! run: tag 7 => 4
;;! run: tag 8 => 3
;;! run: tag 9 => 3
;;! run: tag 2147483647 => 3
;;! run: tag -2147483648 => 3
;;! run: above -10 => 3
;;! run: above -9 => 1
;;! run: above -8 => 2
;;! run: above 7 => 3
;;! run: above 8 => 3
;;! run: last 2 => 1
;;! run: last 3 => 2
;;! run: last 4 => 3
;;! run: last -1 => 3
;;! run: far 99 => 3
;;! run: far 100 => 1
;;! run: far 101 => 2
;;! run: far 102 => 3
;;! run: far 103 => 3
;;! run: wide 5 => 3
;;! run: wide 1 => 2
;;! run: tested 1 => 2
;;! run: tested 7 => 3
(module
  (func $tag (export "tag") (param i32) (result i32)
    (block $d (block $c (block $b (block $a
      (br_table $a $b $c $c $c $c $c $d $c
        (select (i32.const 8) (local.get 0) (i32.lt_u (i32.add (local.get 0) (i32.const -8)) (i32.const -17)))))
      (return (i32.const 1))) (return (i32.const 2))) (return (i32.const 3))) (i32.const 4))
  (func $above (export "above") (param i32) (result i32)
    (block $c (block $b (block $a
      (br_table $a $b $c $c $c $c $c $c $c $c
        (i32.add (select (i32.const 8) (local.get 0) (i32.lt_u (i32.add (local.get 0) (i32.const -8)) (i32.const -17)))
          (i32.const 9))))
      (return (i32.const 1))) (return (i32.const 2))) (i32.const 3))
  (func $last (export "last") (param i32) (result i32)
    (block $c (block $b (block $a
      (br_table $a $b $c (i32.add (select (local.get 0) (i32.const 4) (i32.le_u (local.get 0) (i32.const 3)))
        (i32.const -2)))) (return (i32.const 1))) (return (i32.const 2))) (i32.const 3))
  (func $far (export "far") (param i32) (result i32)
    (block $c (block $b (block $a
      (br_table $a $b $c (i32.sub (select (i32.const 102) (local.get 0)
        (i32.gt_u (i32.sub (local.get 0) (i32.const 100)) (i32.const 2))) (i32.const 100))))
      (return (i32.const 1))) (return (i32.const 2))) (i32.const 3))
  (func $wide (export "wide") (param i32) (result i32)
    (block $c (block $b (block $a
      (br_table $a $b $c (select (i32.const 9) (local.get 0) (i32.gt_u (local.get 0) (i32.const 8)))))
      (return (i32.const 1))) (return (i32.const 2))) (i32.const 3))
  (func $tested (export "tested") (param i32) (result i32)
    (if (i32.ge_u (local.get 0) (i32.const 3)) (then (return (i32.const 3))))
    (block $c (block $b (block $a (br_table $a $b $c (local.get 0)))
      (return (i32.const 1))) (return (i32.const 2))) (i32.const 3)))
