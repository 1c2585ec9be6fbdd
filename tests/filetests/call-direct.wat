;; Six integers go in registers and the seventh to a cell; a value alive across the call is kept in the frame.
;;! show: minst asm
;;! run: f 5 => 33
(module
  (func $many (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.add (i32.mul (local.get 0) (local.get 6)) (local.get 5)))
  (func $f (export "f") (param i32) (result i32)
    (i32.add (local.get 0)
      (call $many (i32.const 3) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 7) (i32.const 7)))))
