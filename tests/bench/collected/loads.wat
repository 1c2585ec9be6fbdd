;; What guests do in suite `gc` (ADR-0074, ADR-0079): nodes with two references, in a tree, a list or an array that lives.
(module
  (type $node (struct (field $left (mut (ref null $node))) (field $right (mut (ref null $node)))))
  (type $nodes (array (mut (ref null $node))))
  (global $first (mut (ref null $node)) (ref.null $node))
  (global $last (mut (ref null $node)) (ref.null $node))
  (global $array (mut (ref null $nodes)) (ref.null $nodes))
  (global $filled (mut i32) (i32.const 0))
  (global $drawn (mut i64) (i64.const 0x9E3779B97F4A7C15))

  (func $draw (result i64)
    (local $x i64)
    (local.set $x (global.get $drawn))
    (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
    (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
    (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
    (global.set $drawn (local.get $x))
    (local.get $x))

  (func $tree (param $depth i32) (result (ref $node))
    (if (result (ref $node)) (local.get $depth)
      (then
        (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
        (struct.new $node (call $tree (local.get $depth)) (call $tree (local.get $depth))))
      (else (struct.new_default $node))))

  ;; Put a tree so many levels below the one that lives; bits of the path say where.
  (func $graft (param $made (ref $node)) (param $levels i32) (param $path i64)
    (local $at (ref null $node))
    (local.set $at (global.get $first))
    (loop $down
      (if (i32.gt_u (local.get $levels) (i32.const 1))
        (then
          (local.set $at
            (if (result (ref null $node)) (i32.wrap_i64 (i64.and (local.get $path) (i64.const 1)))
              (then (struct.get $node $right (local.get $at)))
              (else (struct.get $node $left (local.get $at)))))
          (local.set $path (i64.shr_u (local.get $path) (i64.const 1)))
          (local.set $levels (i32.sub (local.get $levels) (i32.const 1)))
          (br $down))))
    (if (i32.wrap_i64 (i64.and (local.get $path) (i64.const 1)))
      (then (struct.set $node $right (local.get $at) (local.get $made)))
      (else (struct.set $node $left (local.get $at) (local.get $made)))))

  ;; Make the tree that lives.
  (func (export "plant") (param $depth i32) (global.set $first (call $tree (local.get $depth))))

  ;; Trees of 511 nodes that are dropped at once.
  (func $churn (export "churn") (param $depth i32) (param $count i32)
    (loop $again
      (drop (call $draw))
      (drop (call $tree (i32.const 8)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; The same in the place of a part of the tree that lives.
  (func $mutate (export "mutate") (param $depth i32) (param $count i32)
    (loop $again
      (call $graft (call $tree (i32.const 8)) (i32.sub (local.get $depth) (i32.const 8)) (call $draw))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; First these, then those.
  (func (export "phases") (param $depth i32) (param $count i32)
    (call $churn (local.get $depth) (local.get $count))
    (call $mutate (local.get $depth) (local.get $count)))

  ;; Nodes at the end of a list; once it is so long one goes from its beginning for each.
  (func (export "queue") (param $length i32) (param $count i32)
    (local $made (ref $node))
    (loop $again
      (local.set $made (struct.new_default $node))
      (if (ref.is_null (global.get $last))
        (then (global.set $first (local.get $made)))
        (else (struct.set $node $left (global.get $last) (local.get $made))))
      (global.set $last (local.get $made))
      (global.set $filled (i32.add (global.get $filled) (i32.const 1)))
      (if (i32.gt_u (global.get $filled) (local.get $length))
        (then
          (global.set $first (struct.get $node $left (global.get $first)))
          (global.set $filled (i32.sub (global.get $filled) (i32.const 1)))))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Trees of 31 nodes into places of an array.
  (func (export "table") (param $length i32) (param $count i32)
    (if (ref.is_null (global.get $array))
      (then (global.set $array (array.new_default $nodes (local.get $length)))))
    (loop $again
      (array.set $nodes (global.get $array)
        (i32.wrap_i64 (i64.rem_u (call $draw) (i64.extend_i32_u (local.get $length))))
        (call $tree (i32.const 4)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  (func $length (result i32)
    (if (result i32) (ref.is_null (global.get $array))
      (then (i32.const 0))
      (else (array.len (global.get $array)))))

  ;; A longer array with what is in the one that is full, or an empty one.
  (func $lengthen (param $most i32)
    (local $length i32) (local $longer (ref null $nodes))
    (local.set $length (call $length))
    (if (i32.or (i32.eqz (local.get $length)) (i32.gt_u (local.get $length) (i32.shr_u (local.get $most) (i32.const 1))))
      (then
        (local.set $longer (array.new_default $nodes (i32.const 16)))
        (global.set $filled (i32.const 0)))
      (else
        (local.set $longer (array.new_default $nodes (i32.shl (local.get $length) (i32.const 1))))
        (array.copy $nodes $nodes (local.get $longer) (i32.const 0) (global.get $array) (i32.const 0)
          (local.get $length))))
    (global.set $array (local.get $longer)))

  ;; Nodes at the end of an array that doubles, and is dropped when it would be longer than that.
  (func (export "vectors") (param $most i32) (param $count i32)
    (local $made (ref $node))
    (loop $again
      (local.set $made (struct.new_default $node))
      (if (i32.eq (global.get $filled) (call $length)) (then (call $lengthen (local.get $most))))
      (array.set $nodes (global.get $array) (global.get $filled) (local.get $made))
      (global.set $filled (i32.add (global.get $filled) (i32.const 1)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  (func $nodes (param $node (ref null $node)) (result i32)
    (if (result i32) (ref.is_null (local.get $node))
      (then (i32.const 0))
      (else
        (i32.add (i32.const 1)
          (i32.add
            (call $nodes (struct.get $node $left (local.get $node)))
            (call $nodes (struct.get $node $right (local.get $node))))))))

  ;; How many nodes the tree that lives has; the list; the array's trees; the array, each of whose places is filled up to
  ;; where it should be, or this traps.
  (func (export "planted") (result i32) (call $nodes (global.get $first)))
  (func (export "listed") (result i32)
    (local $at (ref null $node)) (local $found i32)
    (local.set $at (global.get $first))
    (block $end
      (loop $along
        (br_if $end (ref.is_null (local.get $at)))
        (local.set $found (i32.add (local.get $found) (i32.const 1)))
        (local.set $at (struct.get $node $left (local.get $at)))
        (br $along)))
    (local.get $found))
  (func (export "held") (result i32)
    (local $at i32) (local $found i32)
    (local.set $at (array.len (global.get $array)))
    (loop $along
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (local.set $found
        (i32.add (local.get $found) (call $nodes (array.get $nodes (global.get $array) (local.get $at)))))
      (br_if $along (local.get $at)))
    (local.get $found))
  (func (export "filled") (result i32)
    (local $at i32)
    (loop $along
      (if (i32.ne (ref.is_null (array.get $nodes (global.get $array) (local.get $at)))
          (i32.ge_u (local.get $at) (global.get $filled)))
        (then unreachable))
      (br_if $along
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (array.len (global.get $array)))))
    (global.get $filled)))
