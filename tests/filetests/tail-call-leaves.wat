;; A module with a tail call that may end in another instance keeps its context at every call of its own functions. Who
;; traps has a frame still: null and another type are found before it goes.
;;! show: asm
;;! run: f 1 => 43
;;! run: f 0 => trap uninitialized_element
;;! run: f 2 => trap indirect_call_mismatch
;;! run: g 0 => trap null_function
;;! run: g 1 => 42
(module
  (type $int (func (result i32)))
  (global $one (mut i32) (i32.const 1))
  (table 3 3 funcref) (elem (i32.const 1) $good $other)
  (func $good (type $int) (i32.const 42))
  (func $other)
  (func $inner (param i32) (result i32) (return_call_indirect (type $int) (local.get 0)))
  (func $f (export "f") (param i32) (result i32) (i32.add (call $inner (local.get 0)) (global.get $one)))
  (func $g (export "g") (param i32) (result i32)
    (return_call_ref $int (select (result (ref null $int)) (ref.func $good) (ref.null $int) (local.get 0)))))
