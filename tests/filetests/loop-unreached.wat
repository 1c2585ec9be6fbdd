;; A way back to a loop that keeps a pointer in r11, from a block that nothing leads to: both ways to the test before it
;; bring the same answer, and pass it by.
;;! show: asm
;;! run: f 3 => 3
;;! run: f 0 => 1
(module
  (memory 1)
  (func $f (export "f") (param $n i32) (result i32) (local $i i32)
    (loop $again
      (i32.store (local.get $i) (local.get $n))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (if (if (result i32) (i32.lt_u (local.get $i) (i32.const 2)) (then (i32.const 1)) (else (i32.const 1)))
        (then (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
        (else (local.set $n (i32.const 9)) (br $again))))
    (local.get $i)))
