;; Hashing of 64-bit words: SipHash-2-4 of n words that are made on the way. run(n) = the hash.
(module
  (func (export "run") (param $n i32) (result i64)
    (local $v0 i64) (local $v1 i64) (local $v2 i64) (local $v3 i64) (local $word i64) (local $i i32) (local $rounds i32)
    (local.set $v0 (i64.const 8317987319222330741))
    (local.set $v1 (i64.const 7237128888997146477))
    (local.set $v2 (i64.const 7816392313619706465))
    (local.set $v3 (i64.const 8387220255154660723))
    (local.set $word (i64.const 1))
    (local.set $i (i32.const 0))
    (block $out2
      (br_if $out2 (i32.ge_s (local.get $i) (i32.add (local.get $n) (i32.const 2))))
      (loop $loop1
        (local.set $word (i64.add (i64.mul (local.get $word) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
        (if (i32.eq (local.get $i) (local.get $n))
          (then
            (local.set $v2 (i64.xor (local.get $v2) (i64.const 255)))))
        (local.set $v3 (i64.xor (local.get $v3) (local.get $word)))
        (local.set $rounds (i32.const 2))
        (block $out5
          (br_if $out5 (i32.eqz (i32.gt_s (local.get $rounds) (i32.const 0))))
          (loop $loop4
            (local.set $v0 (i64.add (local.get $v0) (local.get $v1)))
            (local.set $v2 (i64.add (local.get $v2) (local.get $v3)))
            (local.set $v1 (i64.xor (i64.rotl (local.get $v1) (i64.const 13)) (local.get $v0)))
            (local.set $v3 (i64.xor (i64.rotl (local.get $v3) (i64.const 16)) (local.get $v2)))
            (local.set $v0 (i64.rotl (local.get $v0) (i64.const 32)))
            (local.set $v2 (i64.add (local.get $v2) (local.get $v1)))
            (local.set $v0 (i64.add (local.get $v0) (local.get $v3)))
            (local.set $v1 (i64.xor (i64.rotl (local.get $v1) (i64.const 17)) (local.get $v2)))
            (local.set $v3 (i64.xor (i64.rotl (local.get $v3) (i64.const 21)) (local.get $v0)))
            (local.set $v2 (i64.rotl (local.get $v2) (i64.const 32)))
            (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
            (br_if $loop4 (i32.gt_s (local.get $rounds) (i32.const 0)))))
        (local.set $v0 (i64.xor (local.get $v0) (local.get $word)))
        (br_if $loop1 (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.add (local.get $n)
          (i32.const 2))))))
    (i64.xor (i64.xor (i64.xor (local.get $v0) (local.get $v1)) (local.get $v2)) (local.get $v3))))
