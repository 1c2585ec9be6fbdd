;; A reference that is known not to be null is not asked again: by its type (parameters, fields, elements, results of
;; calls), because it is new, or where a check or a test lies on all ways. Where ways meet it is asked once more.
;;! show: asm
;;! run: sum 3 => 6
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
    (struct.get $s $v (local.get $r))))
