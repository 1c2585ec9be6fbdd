;; The index is compared with the table's size, the entry with null, its type with the one expected: three traps.
;;! show: minst asm
;;! run: f 0 => 42
;;! run: f 1 => trap indirect_call_mismatch
;;! run: f 2 => trap uninitialized_element
;;! run: f 3 => trap undefined_element
(module
  (type $int (func (result i32)))
  (table 3 funcref) (elem (i32.const 0) $good $other)
  (func $good (result i32) (i32.const 42))
  (func $other (result i64) (i64.const 1))
  (func $f (export "f") (param i32) (result i32) (call_indirect (type $int) (local.get 0))))
