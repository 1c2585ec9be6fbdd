;; The reference is in r10: no bounds, no comparison. Null faults at a small address, before the context has changed.
;;! show: minst asm
;;! run: f 5 => 47
;;! run: g 0 => trap null_function
;;! run: g 1 => 42
(module
  (type $int (func (result i32)))
  (global $five (mut i32) (i32.const 5))
  (func $good (type $int) (i32.const 42))
  (elem declare func $good)
  (func $f (export "f") (param i32) (result i32) (i32.add (call_ref $int (ref.func $good)) (local.get 0)))
  (func $g (export "g") (param i32) (result i32)
    (call_ref $int (select (result (ref null $int)) (ref.func $good) (ref.null $int) (local.get 0)))))
