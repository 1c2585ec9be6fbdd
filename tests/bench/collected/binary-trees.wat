;; The benchmarks game's binary-trees: trees of each second depth from 4 on, so many that all depths make about as many
;; nodes, beside one that lives. Each is counted; what comes back is a number made of all counts.
(module
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))

  (func $make (param $depth i32) (result (ref $tree))
    (if (result (ref $tree)) (local.get $depth)
      (then
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        (struct.new $tree (call $make (local.get $depth)) (call $make (local.get $depth))))
      (else (struct.new_default $tree))))

  (func $count (param $tree (ref null $tree)) (result i32)
    (if (result i32) (ref.is_null (struct.get $tree $left (local.get $tree)))
      (then (i32.const 1))
      (else
        (i32.add (i32.const 1)
          (i32.add
            (call $count (struct.get $tree $left (local.get $tree)))
            (call $count (struct.get $tree $right (local.get $tree))))))))

  (func $mix (param $sum i64) (param $count i32) (result i64)
    (i64.add (i64.mul (local.get $sum) (i64.const 31)) (i64.extend_i32_u (local.get $count))))

  (func (export "run") (param $most i32) (result i64)
    (local $sum i64) (local $lives (ref $tree)) (local $depth i32) (local $left i32) (local $found i32)
    (local.set $sum (i64.extend_i32_u (call $count (call $make (i32.add (local.get $most) (i32.const 1))))))
    (local.set $lives (call $make (local.get $most)))
    (local.set $depth (i32.const 4))
    (loop $deeper
      (local.set $left (i32.shl (i32.const 1) (i32.add (i32.sub (local.get $most) (local.get $depth)) (i32.const 4))))
      (local.set $found (i32.const 0))
      (loop $again
        (local.set $found (i32.add (local.get $found) (call $count (call $make (local.get $depth)))))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (local.set $sum (call $mix (local.get $sum) (local.get $found)))
      (local.set $depth (i32.add (local.get $depth) (i32.const 2)))
      (br_if $deeper (i32.le_u (local.get $depth) (local.get $most))))
    (call $mix (local.get $sum) (call $count (local.get $lives)))))
