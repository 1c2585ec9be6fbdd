;; What a loop's parameter becomes takes its register, on each way through the loop and through the joins on them: the
;; branch at the end leads to the header, and nothing moves there. What leaves the loop does not compete.
;;! show: asm
;;! run: run 20 => 16169
(module
  (func $run (export "run") (param i32) (result i32) (local $at i32) (local $c i32) (local $sum i32)
    (loop $l
      (local.set $c (i32.and (local.get $at) (i32.const 3)))
      (if (i32.eq (local.get $c) (i32.const 0))
        (then (local.set $at (i32.add (local.get $at) (i32.const 1))))
        (else (if (i32.eq (local.get $c) (i32.const 1))
          (then
            (local.set $c (i32.mul (local.get $at) (i32.const 5)))
            (local.set $at (i32.add (local.get $at) (i32.const 2))))
          (else
            (local.set $c (i32.xor (local.get $c) (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 3)))))))
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3)) (local.get $c)))
      (br_if $l (i32.lt_u (local.get $at) (local.get 0))))
    (i32.add (local.get $sum) (local.get $at))))
