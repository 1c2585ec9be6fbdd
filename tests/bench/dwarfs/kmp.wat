;; String search: counts a pattern of 24 bytes in a text of 8192 n times, with a table of borders. run(n) = how
;; often it is there.
(module
  (memory 1)
  (func (export "run") (param $n i32) (result i32)
    (local $count i32) (local $x i32) (local $i i32) (local $k i32) (local $r i32) (local $c i32)
    (local.set $count (i32.const 0))
    (local.set $x (i32.const 37))
    (local.set $i (i32.const 0))
    (loop $loop1
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store8 (local.get $i) (i32.eq (i32.shr_u (local.get $x) (i32.const 30)) (i32.const 0)))
      (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
    (local.set $i (i32.const 0))
    (loop $loop4
      (i32.store8 offset=8192 (local.get $i) (i32.eq (i32.and (local.get $i) (i32.const 5)) (i32.const 5)))
      (br_if $loop4 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 24))))
    (local.set $i (i32.const 0))
    (loop $loop7
      (local.set $k (i32.const 0))
      (loop $loop10
        (i32.store8 (i32.add (local.get $i) (local.get $k)) (i32.load8_u offset=8192 (local.get $k)))
        (br_if $loop10 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 24))))
      (br_if $loop7 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 90))) (i32.const 8000))))
    (i32.store8 offset=8256 (i32.const 0) (i32.const 0))
    (local.set $k (i32.const 0))
    (local.set $i (i32.const 1))
    (loop $loop13
      (block $out17
        (br_if $out17 (i32.eqz (if (result i32) (i32.gt_s (local.get $k) (i32.const 0)) (then (i32.ne
          (i32.load8_u offset=8192 (local.get $k)) (i32.load8_u offset=8192 (local.get $i)))) (else (i32.const 0)))))
        (loop $loop16
          (local.set $k (i32.load8_u offset=8256 (i32.sub (local.get $k) (i32.const 1))))
          (br_if $loop16 (if (result i32) (i32.gt_s (local.get $k) (i32.const 0)) (then (i32.ne (i32.load8_u offset=8192
            (local.get $k)) (i32.load8_u offset=8192 (local.get $i)))) (else (i32.const 0))))))
      (if (i32.eq (i32.load8_u offset=8192 (local.get $k)) (i32.load8_u offset=8192 (local.get $i)))
        (then
          (local.set $k (i32.add (local.get $k) (i32.const 1)))))
      (i32.store8 offset=8256 (local.get $i) (local.get $k))
      (br_if $loop13 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 24))))
    (local.set $r (i32.const 0))
    (block $out20
      (br_if $out20 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop19
        (local.set $k (i32.const 0))
        (local.set $i (i32.const 0))
        (loop $loop22
          (local.set $c (i32.load8_u (local.get $i)))
          (block $out26
            (br_if $out26 (i32.eqz (if (result i32) (i32.gt_s (local.get $k) (i32.const 0)) (then (i32.ne
              (i32.load8_u offset=8192 (local.get $k)) (local.get $c))) (else (i32.const 0)))))
            (loop $loop25
              (local.set $k (i32.load8_u offset=8256 (i32.sub (local.get $k) (i32.const 1))))
              (br_if $loop25 (if (result i32) (i32.gt_s (local.get $k) (i32.const 0)) (then (i32.ne
                (i32.load8_u offset=8192 (local.get $k)) (local.get $c))) (else (i32.const 0))))))
          (if (i32.eq (i32.load8_u offset=8192 (local.get $k)) (local.get $c))
            (then
              (local.set $k (i32.add (local.get $k) (i32.const 1)))))
          (if (i32.eq (local.get $k) (i32.const 24))
            (then
              (local.set $count (i32.add (local.get $count) (i32.const 1)))
              (local.set $k (i32.load8_u offset=8256 (i32.const 23)))))
          (br_if $loop22 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))
        (br_if $loop19 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (local.get $count)))
