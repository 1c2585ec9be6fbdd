;; A reference that is known not to be null is not asked again: by its type (parameters, fields, elements, results of
;; calls), because it is new, or where a check or a test lies on all ways; of what comes from a field or an element, too,
;; and an assertion is no instruction then. Where ways meet it is asked once more.
;;! show: asm
;;! run: sum 3 => 6
;;! run: first 4 => 4
(module
  (type $s (struct (field $v (mut i32)) (field $n (ref null $s))))
  (type $t (struct (field $s (ref $s))))
  (func $made (param i32) (result (ref $s)) (struct.new $s (local.get 0) (ref.null $s)))
  (func $sum (export "sum") (param i32) (result i32)
    (struct.get $s $v (struct.get $t $s (struct.new $t (call $made (i32.add (local.get 0) (local.get 0)))))))
  (func $typed (param $r (ref $s)) (result i32) (struct.get $s $v (local.get $r)))
  (func $twice (param $r (ref null $s)) (result i32)
    (i32.add (struct.get $s $v (local.get $r)) (struct.get $s $v (local.get $r))))
  (func $tested (param $r (ref null $s)) (result i32)
    (if (result i32) (ref.is_null (local.get $r)) (then (i32.const 0)) (else (struct.get $s $v (local.get $r)))))
  (func $meet (param $r (ref null $s)) (param $c i32) (result i32)
    (if (local.get $c) (then (struct.set $s $v (local.get $r) (i32.const 1))))
    (struct.get $s $v (local.get $r)))
  (type $a (array (mut (ref null $s))))
  (func $field (param $r (ref $s)) (result i32) (local $n (ref null $s))
    (local.set $n (struct.get $s $n (local.get $r)))
    (if (result i32) (ref.is_null (local.get $n))
      (then (i32.const 0))
      (else (struct.get $s $v (ref.as_non_null (local.get $n))))))
  (func $element (param $a (ref $a)) (result i32) (local $n (ref null $s))
    (local.set $n (array.get $a (local.get $a) (i32.const 0)))
    (struct.set $s $v (local.get $n) (i32.add (struct.get $s $v (local.get $n)) (i32.const 1)))
    (struct.get $s $v (local.get $n)))
  (func (export "first") (param i32) (result i32) (local $s (ref $s))
    (local.set $s (struct.new $s (i32.const 7) (struct.new $s (i32.sub (local.get 0) (i32.const 1)) (ref.null $s))))
    (i32.add (call $field (ref.as_non_null (struct.get $s $n (local.get $s))))
      (call $element (array.new_fixed $a 1 (struct.get $s $n (local.get $s)))))))
