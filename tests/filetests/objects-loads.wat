;; What was read of an object, or written to it, is not loaded again until something may have changed it: a write to a
;; place of its kind, a call, a poll. Ways that meet go on where nothing between wrote. Lengths and immutable fields are
;; known for good.
;;! show: opt
;;! passes: level 1
;;! run: twice 1 => 15
;;! run: twice 0 => 12
;;! run: known 5 => 21
;;! run: across 7 => 14
;;! run: meets 0 => 8
;;! run: meets 1 => 6
(module
  (type $p (sub (struct (field $x (mut i32)) (field $y (mut i32)) (field $z i32))))
  (type $a (array (mut i32)))
  (global $p (mut (ref null $p)) (ref.null $p))
  (func $new (param i32) (result (ref $p)) (struct.new $p (local.get 0) (i32.const 2) (i32.const 3)))
  (func $share (param $r (ref null $p)) (param $s (ref null $p)) (result i32)
    (struct.set $p $y (local.get $s) (struct.get $p $x (local.get $r)))
    (i32.mul (struct.get $p $x (local.get $r)) (struct.get $p $y (local.get $s))))
  (func $alias (param $r (ref null $p)) (param $s (ref null $p)) (result i32)
    (i32.add (struct.get $p $x (local.get $r))
      (block (result i32) (struct.set $p $x (local.get $s) (i32.const 9)) (struct.get $p $x (local.get $r)))))
  (func (export "twice") (param $same i32) (result i32) (local $r (ref null $p)) (local $s (ref null $p))
    (local.set $r (call $new (i32.const 6))) (local.set $s (call $new (i32.const 7)))
    (if (local.get $same) (then (local.set $s (local.get $r))))
    (call $alias (local.get $r) (local.get $s)))
  (func (export "known") (param $n i32) (result i32) (local $r (ref null $p)) (local $a (ref null $a))
    (local.set $r (struct.new $p (local.get $n) (i32.const 8) (i32.const 3)))
    (local.set $a (array.new_default $a (local.get $n)))
    (i32.add (i32.add (struct.get $p $x (local.get $r)) (struct.get $p $y (local.get $r)))
      (i32.add (struct.get $p $z (local.get $r)) (array.len (local.get $a)))))
  (func $write (param $n i32) (result i32)
    (struct.set $p $x (global.get $p) (local.get $n))
    (if (result i32) (i32.gt_s (local.get $n) (i32.const 0))
      (then (call $write (i32.sub (local.get $n) (i32.const 1)))) (else (i32.const 0))))
  (func (export "across") (param $n i32) (result i32) (local $r (ref null $p))
    (global.set $p (local.tee $r (call $new (local.get $n))))
    (i32.add (i32.add (struct.get $p $x (local.get $r)) (struct.get $p $z (local.get $r)))
      (i32.add (call $write (local.get $n))
        (i32.add (i32.add (struct.get $p $x (local.get $r)) (struct.get $p $z (local.get $r))) (i32.const 1)))))
  (func $meet (param $r (ref null $p)) (param $s (ref null $p)) (param $c i32) (result i32)
    (if (local.get $c) (then (struct.set $p $x (local.get $s) (struct.get $p $y (local.get $r)))))
    (i32.add (struct.get $p $y (local.get $r))
      (i32.add (struct.get $p $x (local.get $r))
        (block (result i32) (if (local.get $c) (then (global.set $p (local.get $r)))) (struct.get $p $x (local.get $r))))))
  (func (export "meets") (param $c i32) (result i32) (local $r (ref null $p))
    (local.set $r (call $new (i32.const 3)))
    (call $meet (local.get $r) (local.get $r) (local.get $c)))
  (func $sum (param $a (ref null $a)) (result i32) (local $i i32) (local $h i32)
    (block $out
      (loop $next
        (br_if $out (i32.ge_u (local.get $i) (array.len (local.get $a))))
        (array.set $a (local.get $a) (local.get $i)
          (i32.add (array.get $a (local.get $a) (local.get $i)) (array.len (local.get $a))))
        (local.set $h (i32.add (local.get $h) (array.get $a (local.get $a) (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $h)))
