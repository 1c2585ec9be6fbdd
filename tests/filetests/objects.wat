;; Objects are made, read and written by instructions; other rows of objects call the builtin that does them, with
;; operands in cells and the result in the first; a number in a reference, and what needs no look at an object, is
;; computed.
;;! show: ssa asm
;;! run: pair 40 2 => 42
;;! run: number -5 => -5
;;! run: number 1073741824 => -1073741824
;;! run: none => trap null_i31
;;! run: cast 0 => trap cast_failure
;;! run: cast 1 => 7
;;! run: same 3 3 => 1
;;! run: same 3 4 => 0
(module
  (type $p (struct (field (mut f32)) (field (mut i32)) (field $s (mut i8))))
  (func $pair (export "pair") (param i32 i32) (result i32) (local $r (ref null $p))
    (local.set $r (struct.new $p (f32.const 1) (local.get 0) (i32.const 300)))
    (struct.set $p $s (local.get $r) (local.get 1))
    (i32.add (struct.get $p 1 (local.get $r)) (struct.get_u $p $s (local.get $r))))
  (func $number (export "number") (param i32) (result i32) (i31.get_s (ref.i31 (local.get 0))))
  (func $none (export "none") (result i32) (i31.get_u (ref.null i31)))
  (func $cast (export "cast") (param i32) (result i32) (local $r anyref)
    (if (local.get 0) (then (local.set $r (ref.i31 (i32.const 7)))))
    (i31.get_u (ref.cast (ref i31) (local.get $r))))
  (func $is (param anyref) (result i32) (ref.test (ref null $p) (local.get 0)))
  (func $any (param anyref) (result i32) (i32.or (ref.test (ref any) (local.get 0)) (ref.test (ref null none) (local.get 0))))
  (func $same (export "same") (param i32 i32) (result i32)
    (ref.eq (ref.i31 (local.get 0)) (ref.i31 (local.get 1)))))
