;; Eight bodies in memory as seven doubles each, n steps with all pairs. run(n) = the energy of motion at the
;; end.
(module
  (memory 1)
  (func $advance (param $dt f64)
    (local $i i32) (local $j i32) (local $dx f64) (local $dy f64) (local $dz f64) (local $d2 f64) (local $mag f64)
      (local $mi f64) (local $mj f64)
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.eqz (i32.lt_s (local.get $i) (i32.const 448))))
      (loop $loop1
        (local.set $j (i32.add (local.get $i) (i32.const 56)))
        (block $out5
          (br_if $out5 (i32.eqz (i32.lt_s (local.get $j) (i32.const 448))))
          (loop $loop4
            (local.set $dx (f64.sub (f64.load (local.get $i)) (f64.load (local.get $j))))
            (local.set $dy (f64.sub (f64.load offset=8 (local.get $i)) (f64.load offset=8 (local.get $j))))
            (local.set $dz (f64.sub (f64.load offset=16 (local.get $i)) (f64.load offset=16 (local.get $j))))
            (local.set $d2 (f64.add (f64.add (f64.mul (local.get $dx) (local.get $dx)) (f64.mul (local.get $dy)
              (local.get $dy))) (f64.mul (local.get $dz) (local.get $dz))))
            (local.set $mag (f64.div (local.get $dt) (f64.mul (local.get $d2) (f64.sqrt (local.get $d2)))))
            (local.set $mi (f64.mul (f64.load offset=48 (local.get $i)) (local.get $mag)))
            (local.set $mj (f64.mul (f64.load offset=48 (local.get $j)) (local.get $mag)))
            (f64.store offset=24 (local.get $i) (f64.sub (f64.load offset=24 (local.get $i)) (f64.mul
              (local.get $dx) (local.get $mj))))
            (f64.store offset=32 (local.get $i) (f64.sub (f64.load offset=32 (local.get $i)) (f64.mul
              (local.get $dy) (local.get $mj))))
            (f64.store offset=40 (local.get $i) (f64.sub (f64.load offset=40 (local.get $i)) (f64.mul
              (local.get $dz) (local.get $mj))))
            (f64.store offset=24 (local.get $j) (f64.add (f64.load offset=24 (local.get $j)) (f64.mul
              (local.get $dx) (local.get $mi))))
            (f64.store offset=32 (local.get $j) (f64.add (f64.load offset=32 (local.get $j)) (f64.mul
              (local.get $dy) (local.get $mi))))
            (f64.store offset=40 (local.get $j) (f64.add (f64.load offset=40 (local.get $j)) (f64.mul
              (local.get $dz) (local.get $mi))))
            (local.set $j (i32.add (local.get $j) (i32.const 56)))
            (br_if $loop4 (i32.lt_s (local.get $j) (i32.const 448)))))
        (local.set $i (i32.add (local.get $i) (i32.const 56)))
        (br_if $loop1 (i32.lt_s (local.get $i) (i32.const 448)))))
    (local.set $i (i32.const 0))
    (block $out8
      (br_if $out8 (i32.eqz (i32.lt_s (local.get $i) (i32.const 448))))
      (loop $loop7
        (f64.store (local.get $i) (f64.add (f64.load (local.get $i)) (f64.mul (local.get $dt) (f64.load offset=24
          (local.get $i)))))
        (f64.store offset=8 (local.get $i) (f64.add (f64.load offset=8 (local.get $i)) (f64.mul (local.get $dt)
          (f64.load offset=32 (local.get $i)))))
        (f64.store offset=16 (local.get $i) (f64.add (f64.load offset=16 (local.get $i)) (f64.mul (local.get $dt)
          (f64.load offset=40 (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 56)))
        (br_if $loop7 (i32.lt_s (local.get $i) (i32.const 448))))))
  (func (export "run") (param $n i32) (result f64)
    (local $energy f64) (local $k i32) (local $at i32)
    (local.set $energy (f64.const 0.0))
    (local.set $k (i32.const 0))
    (loop $loop1
      (local.set $at (i32.mul (local.get $k) (i32.const 56)))
      (f64.store (local.get $at) (f64.convert_i32_s (i32.mul (local.get $k) (i32.const 3))))
      (f64.store offset=8 (local.get $at) (f64.sub (f64.convert_i32_s (i32.rem_u (i32.mul (local.get $k)
        (i32.const 5)) (i32.const 7))) (f64.const 2.0)))
      (f64.store offset=16 (local.get $at) (f64.mul (f64.convert_i32_s (i32.rem_u (i32.mul (local.get $k)
        (i32.const 3)) (i32.const 8))) (f64.const 0.5)))
      (f64.store offset=24 (local.get $at) (f64.const 0.0))
      (f64.store offset=32 (local.get $at) (f64.const 0.125))
      (f64.store offset=40 (local.get $at) (f64.const 0.0))
      (f64.store offset=48 (local.get $at) (f64.add (f64.const 1.0) (f64.mul (f64.convert_i32_s (local.get $k))
        (f64.const 0.25))))
      (br_if $loop1 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 8))))
    (local.set $k (i32.const 0))
    (block $out5
      (br_if $out5 (i32.ge_s (local.get $k) (local.get $n)))
      (loop $loop4
        (call $advance (f64.const 0.001))
        (br_if $loop4 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n)))))
    (local.set $k (i32.const 0))
    (loop $loop7
      (local.set $at (i32.mul (local.get $k) (i32.const 56)))
      (local.set $energy (f64.add (local.get $energy) (f64.mul (f64.load offset=48 (local.get $at)) (f64.add
        (f64.add (f64.mul (f64.load offset=24 (local.get $at)) (f64.load offset=24 (local.get $at))) (f64.mul
        (f64.load offset=32 (local.get $at)) (f64.load offset=32 (local.get $at)))) (f64.mul (f64.load offset=40
        (local.get $at)) (f64.load offset=40 (local.get $at)))))))
      (br_if $loop7 (i32.lt_s (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 8))))
    (local.get $energy)))
