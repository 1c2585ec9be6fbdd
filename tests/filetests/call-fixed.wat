;; A table that can neither shrink nor grow: its length is a number in the code. So is a short signature.
;; What is too long for a number is compared with what the engine says.
;;! show: asm
;;! run: f 0 => 42
;;! run: f 1 => trap indirect_call_mismatch
;;! run: f 2 => trap uninitialized_element
;;! run: f 3 => trap undefined_element
;;! run: f -1 => trap undefined_element
;;! run: g 1 => 11
(module
  (type $int (func (result i32)))
  (type $many (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (table 3 3 funcref) (elem (i32.const 0) $good $many)
  (func $good (result i32) (i32.const 42))
  (func $many (type $many) (i32.add (local.get 7) (local.get 8)))
  (func $f (export "f") (param i32) (result i32) (call_indirect (type $int) (local.get 0)))
  (func $g (export "g") (param i32) (result i32)
    (call_indirect (type $many) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)
      (i32.const 7) (i32.const 8) (i32.const 3) (local.get 0))))
