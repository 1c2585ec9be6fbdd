;; The index is compared with the table's size, the entry with null, its type with the one expected: three traps.
;; What the callee popped is known when this instance's context is loaded again, from where rsp is then.
;;! show: minst asm
;;! run: f 0 => 42
;;! run: f 1 => trap indirect_call_mismatch
;;! run: f 2 => trap uninitialized_element
;;! run: f 4 => trap undefined_element
;;! run: g 1 => 86
(module
  (type $int (func (result i32)))
  (type $many (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (global $forty (mut i32) (i32.const 40))
  (table 4 funcref) (elem (i32.const 0) $good $other) (elem (i32.const 3) $last)
  (func $good (result i32) (i32.const 42))
  (func $other (result i64) (i64.const 1))
  (func $f (export "f") (param i32) (result i32) (call_indirect (type $int) (local.get 0)))
  (func $last (type $many) (i32.add (local.get 7) (local.get 8)))
  (func $g (export "g") (param i32) (result i32)
    (i32.add
      (i32.add
        (call_indirect (type $many) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)
          (i32.const 7) (local.get 0) (i32.const 2) (i32.const 3))
        (global.get $forty))
      (i32.add
        (call_indirect (type $many) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)
          (i32.const 7) (local.get 0) (i32.const 1) (i32.const 3))
        (i32.add (global.get $forty) (local.get 0))))))
