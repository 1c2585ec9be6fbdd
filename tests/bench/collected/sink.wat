;; Where guests of suite `gc` print by characters (ADR-0082): UTF-16, no more than fits.
(module
  (memory (export "memory") 1)
  (global $at (mut i32) (i32.const 0))
  (func (export "print_char") (param $unit i32)
    (i32.store16 (global.get $at) (local.get $unit))
    (global.set $at (i32.add (global.get $at) (i32.const 2))))
  ;; How many bytes there are; what comes next is put at the beginning.
  (func (export "take") (result i32)
    (global.get $at)
    (global.set $at (i32.const 0))))
