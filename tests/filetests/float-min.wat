;; Minsd knows neither NaN nor the sign of zero: equal and unordered operands take another way.
;;! show: asm
;;! run: min 0 -0 => -0.0
;;! run: min 1 nan => nan
(module (func $min (export "min") (param f64 f64) (result f64) (f64.min (local.get 0) (local.get 1))))
