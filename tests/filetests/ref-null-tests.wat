;; A branch on null is a comparison and a jump; what says that a reference is not null compares and traps.
;;! show: ssa asm
;;! run: f 0 => 0
;;! run: f 1 => 42
;;! run: g 0 => trap null_reference
;;! run: g 1 => 0
;;! run: h 0 => 7
;;! run: h 1 => 42
(module
  (type $int (func (result i32)))
  (func $good (type $int) (i32.const 42))
  (elem declare func $good)
  (func $pick (param i32) (result (ref null $int))
    (select (result (ref null $int)) (ref.func $good) (ref.null $int) (local.get 0)))
  (func $f (export "f") (param i32) (result i32)
    (block $null (return (call_ref $int (br_on_null $null (call $pick (local.get 0))))))
    (i32.const 0))
  (func $g (export "g") (param i32) (result i32) (ref.is_null (ref.as_non_null (call $pick (local.get 0)))))
  (func $h (export "h") (param i32) (result i32)
    (block $some (result (ref $int)) (br_on_non_null $some (call $pick (local.get 0))) (return (i32.const 7)))
    (call_ref $int)))
