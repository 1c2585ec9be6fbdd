;; Big integers: writes a number of 64 words of 32 bits in decimal, n times: long division by 10**9. run(n) = a
;; hash of the digits.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $hash i32) (local $r i32) (local $x i32) (local $i i32) (local $words i32) (local $rest i64)
    (local.set $hash (i32.const 0))
    (local.set $r (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop1
        (local.set $x (i32.add (i32.const 47) (local.get $r)))
        (local.set $i (i32.const 0))
        (loop $loop4
          (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
          (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $x))
          (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 64))))
        (local.set $words (i32.const 64))
        (block $out8
          (br_if $out8 (i32.eqz (i32.gt_s (local.get $words) (i32.const 0))))
          (loop $loop7
            (local.set $rest (i64.const 0))
            (local.set $i (local.get $words))
            (block $out11
              (br_if $out11 (i32.eqz (i32.gt_s (local.get $i) (i32.const 0))))
              (loop $loop10
                (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                (local.set $rest (i64.or (i64.shl (local.get $rest) (i64.const 32)) (i64.load32_u (i32.shl
                  (local.get $i) (i32.const 2)))))
                (i64.store32 (i32.shl (local.get $i) (i32.const 2)) (i64.div_u (local.get $rest) (i64.const 1000000000)))
                (local.set $rest (i64.rem_u (local.get $rest) (i64.const 1000000000)))
                (br_if $loop10 (i32.gt_s (local.get $i) (i32.const 0)))))
            (local.set $hash (i32.add (i32.mul (local.get $hash) (i32.const 31)) (i32.wrap_i64 (local.get $rest))))
            (block $out14
              (br_if $out14 (i32.eqz (if (result i32) (i32.gt_s (local.get $words) (i32.const 0)) (then
                (i32.eq (i32.load (i32.shl (i32.sub (local.get $words) (i32.const 1)) (i32.const 2)))
                (i32.const 0))) (else (i32.const 0)))))
              (loop $loop13
                (local.set $words (i32.sub (local.get $words) (i32.const 1)))
                (br_if $loop13 (if (result i32) (i32.gt_s (local.get $words) (i32.const 0)) (then (i32.eq
                  (i32.load (i32.shl (i32.sub (local.get $words) (i32.const 1)) (i32.const 2))) (i32.const 0)))
                  (else (i32.const 0))))))
            (br_if $loop7 (i32.gt_s (local.get $words) (i32.const 0)))))
        (br_if $loop1 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.get $hash)))
