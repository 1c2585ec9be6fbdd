;; Abs and neg change the sign bit; copysign and the rounding modes need no call.
;;! show: asm
;;! run: abs -1.5 => 1.5
;;! run: neg 0 => -0.0
;;! run: sign 1.5 -2 => -1.5
;;! run: up 1.2 => 2.0
(module
  (func $abs (export "abs") (param f64) (result f64) (f64.abs (local.get 0)))
  (func $neg (export "neg") (param f64) (result f64) (f64.neg (local.get 0)))
  (func $sign (export "sign") (param f64 f64) (result f64) (f64.copysign (local.get 0) (local.get 1)))
  (func $up (export "up") (param f64) (result f64) (f64.ceil (local.get 0))))
