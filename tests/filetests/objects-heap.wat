;; A new object comes from the window where that has room, in which lies what was there before: all of it is written,
;; and what is written first needs no barrier; what a reference in it is later has one.
;;! show: asm
;;! run: pair 3 4 => 7
;;! run: row 5 => 10
;;! run: fill 7 => 28
;;! run: zeros 5 => 5
;;! run: zeros 5000 => 5000
;;! run: nulls 3 => 1
;;! run: numbers -7 => -7
(module
  (type $s (struct (field $v (mut i32)) (field $n (mut (ref null $s)))))
  (type $r (array (mut (ref null $s))))
  (type $b (array (mut i16)))
  (type $h (struct (field $a (mut anyref))))
  ;; None of these stores has a barrier, that of null neither.
  (func $new (param i32) (result (ref $s)) (struct.new $s (local.get 0) (ref.null $s)))
  (func $pair (export "pair") (param i32 i32) (result i32) (local $s (ref $s))
    (local.set $s (struct.new $s (local.get 0) (struct.new $s (local.get 1) (ref.null $s))))
    (i32.add (struct.get $s $v (local.get $s)) (struct.get $s $v (struct.get $s $n (local.get $s)))))
  ;; A barrier asks one question; where null or a number is written there is none.
  (func $set (param (ref $s) (ref null $s)) (struct.set $s $n (local.get 0) (local.get 1)))
  (func $clear (param (ref $s)) (struct.set $s $n (local.get 0) (ref.null $s)))
  (func $number (param (ref $h) i32) (struct.set $h $a (local.get 0) (ref.i31 (local.get 1))))
  (func $put (param (ref $r) i32 (ref null $s)) (array.set $r (local.get 0) (local.get 1) (local.get 2)))
  ;; A length that is known.
  (func $row (export "row") (param i32) (result i32) (local $r (ref $r))
    (local.set $r (array.new_default $r (i32.const 3)))
    (call $put (local.get $r) (i32.const 2) (call $new (local.get 0)))
    (i32.add (struct.get $s $v (array.get $r (local.get $r) (i32.const 2)))
      (struct.get $s $v (array.get $r (local.get $r) (i32.const 2)))))
  (func $fill (export "fill") (param i32) (result i32) (local $b (ref $b))
    (local.set $b (array.new $b (local.get 0) (i32.const 4)))
    (i32.mul (array.get_u $b (local.get $b) (i32.const 3)) (array.len (local.get $b))))
  ;; A length that is not known is compared with the most that a hole may have, and the size is rounded to granules.
  (func $zeros (export "zeros") (param i32) (result i32) (local $b (ref $b))
    (local.set $b (array.new $b (i32.const 0) (local.get 0)))
    (i32.add (array.len (local.get $b)) (array.get_u $b (local.get $b) (i32.const 4))))
  (func $nulls (export "nulls") (param i32) (result i32)
    (ref.is_null (array.get $r (array.new_default $r (local.get 0)) (i32.const 2))))
  (func $numbers (export "numbers") (param i32) (result i32) (local $h (ref $h))
    (local.set $h (struct.new $h (ref.null any)))
    (call $number (local.get $h) (local.get 0))
    (i31.get_s (ref.cast (ref i31) (struct.get $h $a (local.get $h))))))
