;; GCBench, as Ellis, Kovac and Boehm describe it: trees that are made from above and from below, and dropped, beside one
;; that lives and an array of numbers. It traps where either is not what it should be, and says how many nodes it made.
(module
  (type $node
    (struct (field $left (mut (ref null $node))) (field $right (mut (ref null $node)))
      (field $i i32) (field $j i32)))
  (type $numbers (array (mut f64)))
  (global $made (mut i64) (i64.const 0))

  (func $leaf (result (ref $node))
    (global.set $made (i64.add (global.get $made) (i64.const 1)))
    (struct.new_default $node))

  ;; From above: a node gets its children when it is there.
  (func $populate (param $depth i32) (param $node (ref $node))
    (if (local.get $depth)
      (then
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        (struct.set $node $left (local.get $node) (call $leaf))
        (struct.set $node $right (local.get $node) (call $leaf))
        (call $populate (local.get $depth) (ref.as_non_null (struct.get $node $left (local.get $node))))
        (call $populate (local.get $depth) (ref.as_non_null (struct.get $node $right (local.get $node)))))))

  ;; From below: children are there first.
  (func $make (param $depth i32) (result (ref $node))
    (local $left (ref null $node))
    (if (i32.eqz (local.get $depth)) (then (return (call $leaf))))
    (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
    (local.set $left (call $make (local.get $depth)))
    (global.set $made (i64.add (global.get $made) (i64.const 1)))
    (struct.new $node (local.get $left) (call $make (local.get $depth)) (i32.const 0) (i32.const 0)))

  (func $count (param $node (ref null $node)) (result i32)
    (if (result i32) (ref.is_null (local.get $node))
      (then (i32.const 0))
      (else
        (i32.add (i32.const 1)
          (i32.add
            (call $count (struct.get $node $left (local.get $node)))
            (call $count (struct.get $node $right (local.get $node))))))))

  (func $size (param $depth i32) (result i32)
    (i32.sub (i32.shl (i32.const 2) (local.get $depth)) (i32.const 1)))

  ;; As many trees of a depth as have twice as many nodes as the one that stretches the heap, in both ways.
  (func $build (param $stretch i32) (param $depth i32)
    (local $times i32) (local $left i32) (local $node (ref $node))
    (local.set $times
      (i32.div_u (i32.shl (call $size (local.get $stretch)) (i32.const 1)) (call $size (local.get $depth))))
    (local.set $left (local.get $times))
    (loop $above
      (local.set $node (call $leaf))
      (call $populate (local.get $depth) (local.get $node))
      (br_if $above (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.set $left (local.get $times))
    (loop $below
      (drop (call $make (local.get $depth)))
      (br_if $below (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))

  (func (export "run") (param $stretch i32) (param $long i32) (param $length i32) (result i64)
    (local $lives (ref $node)) (local $numbers (ref $numbers)) (local $at i32)
    (global.set $made (i64.const 0))
    (drop (call $make (local.get $stretch)))
    (local.set $lives (call $leaf))
    (call $populate (local.get $long) (local.get $lives))
    (local.set $numbers (array.new_default $numbers (local.get $length)))
    (local.set $at (i32.const 1))
    (loop $fill
      (array.set $numbers (local.get $numbers) (local.get $at)
        (f64.div (f64.const 1) (f64.convert_i32_u (local.get $at))))
      (br_if $fill
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1)))
          (i32.shr_u (local.get $length) (i32.const 1)))))
    (local.set $at (i32.const 4))
    (loop $deeper
      (call $build (local.get $stretch) (local.get $at))
      (local.set $at (i32.add (local.get $at) (i32.const 2)))
      (br_if $deeper (i32.le_u (local.get $at) (i32.sub (local.get $stretch) (i32.const 2)))))
    (if (i32.ne (call $count (local.get $lives)) (call $size (local.get $long))) (then unreachable))
    (if (f64.ne (array.get $numbers (local.get $numbers) (i32.const 1000)) (f64.div (f64.const 1) (f64.const 1000)))
      (then unreachable))
    (global.get $made)))
