;; Search: places n queens by bits, recursively. run(n) = the number of ways.
(module
  (func $place (param $all i32) (param $columns i32) (param $left i32) (param $right i32) (result i32)
    (local $count i32) (local $free i32) (local $bit i32)
    (local.set $count (i32.const 0))
    (if (i32.eq (local.get $columns) (local.get $all))
      (then
        (return (i32.const 1))))
    (local.set $free (i32.and (local.get $all) (i32.xor (i32.or (i32.or (local.get $columns) (local.get $left))
      (local.get $right)) (i32.const -1))))
    (block $out2
      (br_if $out2 (i32.eqz (local.get $free)))
      (loop $loop1
        (local.set $bit (i32.and (local.get $free) (i32.sub (i32.const 0) (local.get $free))))
        (local.set $free (i32.xor (local.get $free) (local.get $bit)))
        (local.set $count (i32.add (local.get $count) (call $place (local.get $all) (i32.or (local.get $columns)
          (local.get $bit)) (i32.shl (i32.or (local.get $left) (local.get $bit)) (i32.const 1)) (i32.shr_u
          (i32.or (local.get $right) (local.get $bit)) (i32.const 1)))))
        (br_if $loop1 (local.get $free))))
    (local.get $count))
  (func (export "run") (param $n i32) (result i32)
    (call $place (i32.sub (i32.shl (i32.const 1) (local.get $n)) (i32.const 1)) (i32.const 0) (i32.const 0)
      (i32.const 0))))
