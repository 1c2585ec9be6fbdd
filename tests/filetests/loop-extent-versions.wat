;; versions: a loop behind another in one construct has its own choice (behind). A block by which a loop is left lies in
;; its run without being on a way back and is copied with it; both copies lead to the one choice of the next loop (left).
;;! show: opt
;;! passes: cfg licm versions
;;! plan: bounded
;;! run: behind 20 12 => 7
;;! run: left 20 12 => 7
(module (memory 1)
  (func $behind (export "behind") (param $n i32) (param $m i32) (result i32) (local $i i32) (local $k i32)
    (loop $first
      (i32.store8 (local.get $i) (i32.const 7))
      (br_if $first (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))
      (i32.store8 (i32.const 0) (i32.const 3))
      (loop $second
        (i32.store8 offset=100 (local.get $k) (i32.const 7))
        (br_if $second (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n)))))
    (i32.load8_u offset=100 (local.get $m)))
  (func $left (export "left") (param $n i32) (param $m i32) (result i32) (local $i i32) (local $k i32)
    (block $full
      (block $found
        (loop $first
          (br_if $full (i32.ge_u (local.get $i) (local.get $n)))
          (if (i32.eq (local.get $i) (local.get $m)) (then
            (i32.store8 (i32.const 0) (i32.const 3))
            (br $found)))
          (i32.store8 (local.get $i) (i32.const 7))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $first)))
      (loop $second
        (i32.store8 offset=100 (local.get $k) (i32.const 7))
        (br_if $second (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n))))
      (return (i32.load8_u offset=100 (local.get $m))))
    (i32.const -1)))
