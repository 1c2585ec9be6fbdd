;; Parsing: reads "key": [number, …] text byte by byte n times, numbers with sign and fraction. run(n) = their
;; sum, and the depth.
(module
  (memory 1)
  (data (i32.const 0) "{\22width\22: [12, -7, 3.25, 1024], \22name\22: \22a \5c\22quoted\5c\22 word\22, \22deep\22: [[1, 2], [[-3.5]], {\22x\22: 0.125}], \22end\22: 65535}\00")
  (func $is_digit (param $c i32) (result i32)
    (i32.lt_u (i32.sub (local.get $c) (i32.const 48)) (i32.const 10)))
  (func (export "run") (param $n i32) (result f64)
    (local $sum f64) (local $deepest i32) (local $r i32) (local $at i32) (local $depth i32) (local $c i32)
      (local $negative i32) (local $value f64) (local $scale f64)
    (local.set $sum (f64.const 0.0))
    (local.set $deepest (i32.const 0))
    (local.set $r (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $r) (local.get $n)))
      (loop $loop1
        (local.set $at (i32.const 0))
        (local.set $depth (i32.const 0))
        (block $out5
          (br_if $out5 (i32.eqz (i32.load8_u (local.get $at))))
          (loop $loop4
            (local.set $c (i32.load8_u (local.get $at)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (if (i32.eq (local.get $c) (i32.const 34))
              (then
                (block $out8
                  (br_if $out8 (i32.eqz (i32.ne (i32.load8_u (local.get $at)) (i32.const 34))))
                  (loop $loop7
                    (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 92))
                      (then
                        (local.set $at (i32.add (local.get $at) (i32.const 1)))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $loop7 (i32.ne (i32.load8_u (local.get $at)) (i32.const 34)))))
                (local.set $at (i32.add (local.get $at) (i32.const 1))))
              (else
                (if (if (result i32) (i32.eq (local.get $c) (i32.const 91)) (then (i32.const 1)) (else
                  (i32.eq (local.get $c) (i32.const 123))))
                  (then
                    (local.set $depth (i32.add (local.get $depth) (i32.const 1)))
                    (if (i32.gt_s (local.get $depth) (local.get $deepest))
                      (then
                        (local.set $deepest (local.get $depth)))))
                  (else
                    (if (if (result i32) (i32.eq (local.get $c) (i32.const 93)) (then (i32.const 1)) (else
                      (i32.eq (local.get $c) (i32.const 125))))
                      (then
                        (local.set $depth (i32.sub (local.get $depth) (i32.const 1))))
                      (else
                        (local.set $negative (i32.eq (local.get $c) (i32.const 45)))
                        (if (local.get $negative)
                          (then
                            (local.set $c (i32.load8_u (local.get $at)))
                            (local.set $at (i32.add (local.get $at) (i32.const 1)))))
                        (if (call $is_digit (local.get $c))
                          (then
                            (local.set $value (f64.convert_i32_s (i32.sub (local.get $c) (i32.const 48))))
                            (block $out11
                              (br_if $out11 (i32.eqz (call $is_digit (i32.load8_u (local.get $at)))))
                              (loop $loop10
                                (local.set $value (f64.add (f64.mul (local.get $value) (f64.const 10.0))
                                  (f64.convert_i32_s (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))))
                                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                                (br_if $loop10 (call $is_digit (i32.load8_u (local.get $at))))))
                            (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 46))
                              (then
                                (local.set $scale (f64.const 0.1))
                                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                                (block $out14
                                  (br_if $out14 (i32.eqz (call $is_digit (i32.load8_u (local.get $at)))))
                                  (loop $loop13
                                    (local.set $value (f64.add (local.get $value) (f64.mul
                                      (f64.convert_i32_s (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
                                      (local.get $scale))))
                                    (local.set $scale (f64.mul (local.get $scale) (f64.const 0.1)))
                                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                                    (br_if $loop13 (call $is_digit (i32.load8_u (local.get $at))))))))
                            (local.set $sum (select (f64.sub (local.get $sum) (local.get $value)) (f64.add
                              (local.get $sum) (local.get $value)) (local.get $negative)))))))))))
            (br_if $loop4 (i32.load8_u (local.get $at)))))
        (local.set $sum (f64.add (local.get $sum) (f64.convert_i32_s (local.get $depth))))
        (br_if $loop1 (i32.lt_s (local.tee $r (i32.add (local.get $r) (i32.const 1))) (local.get $n)))))
    (f64.add (local.get $sum) (f64.convert_i32_s (local.get $deepest)))))
