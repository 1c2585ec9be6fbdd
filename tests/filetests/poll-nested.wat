;; Level 1: a loop that begins with another one leaves the poll to that. Who does something first polls itself, and is
;; aligned as innermost loops are.
;;! show: asm
;;! passes: level 1
;;! machine: level 1
;;! allocator: splitting
;;! run: f 3 => 30
;;! run: g 3 => 33
(module
  (func $f (export "f") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $outer
      (local.set $i (i32.const 10))
      (loop $inner
        (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
        (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $g (export "g") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $outer
      (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
      (local.set $i (i32.const 10))
      (if (local.get $n) (then
        (loop $inner
          (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
          (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))
      (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
