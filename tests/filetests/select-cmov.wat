;; A choice between integers is a conditional move behind the comparison; between floats it jumps.
;;! show: minst asm
;;! run: i 3 4 => 3
;;! run: i 4 3 => 3
;;! run: x 1.5 2.5 0 => 2.5
(module
  (func $i (export "i") (param i32 i32) (result i32)
    (select (local.get 0) (local.get 1) (i32.lt_s (local.get 0) (local.get 1))))
  (func $x (export "x") (param f64 f64 i32) (result f64)
    (select (local.get 0) (local.get 1) (local.get 2))))
