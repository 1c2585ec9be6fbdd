;; A br_table by two bits has an entry for each and needs no clamp; by a parameter it is clamped.
;;! show: minst
;;! run: masked 4 => 1
;;! run: masked 5 => 2
;;! run: masked 6 => 3
;;! run: masked 7 => 3
;;! run: any 1 => 2
;;! run: any 3 => 3
;;! run: any -1 => 3
(module
  (func $masked (export "masked") (param i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $c (i32.and (local.get 0) (i32.const 3))))
      (return (i32.const 1))) (return (i32.const 2))) (i32.const 3))
  (func $any (export "any") (param i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $c (local.get 0)))
      (return (i32.const 1))) (return (i32.const 2))) (i32.const 3)))
