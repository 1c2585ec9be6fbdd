;; A float constant on the right of an operation is read where it lies, as is what a value is compared with; zero is made.
;;! show: asm
;;! run: f 2.0 => 7.0
;;! run: less 0.25 => 1
;;! run: less 0.75 => 0
;;! run: more 0.75 => 1
;;! run: zero 1.5 => 1.5
(module
  (func $f (export "f") (param f64) (result f64)
    (f64.sub (f64.mul (f64.add (local.get 0) (f64.const 1.5)) (f64.const 4)) (f64.div (f64.const 14) (local.get 0))))
  (func $less (export "less") (param f32) (result i32) (f32.lt (local.get 0) (f32.const 0.5)))
  (func $more (export "more") (param f32) (result i32)
    (if (result i32) (f32.gt (local.get 0) (f32.const 0.5)) (then (i32.const 1)) (else (i32.const 0))))
  (func $zero (export "zero") (param f64) (result f64) (f64.add (local.get 0) (f64.const 0))))
