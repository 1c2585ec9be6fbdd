;; A constant goes right, where memory can be; twice x is a sum; a quotient by a power of two is a product.
;;! show: opt
;;! passes: fold share
;;! run: all 3.0 => 13.5
;;! run: all nan => nan
(module
  (func $all (export "all") (param f64) (result f64)
    (f64.add (f64.mul (f64.const 2) (local.get 0))
      (f64.add (f64.mul (f64.const 1.5) (local.get 0)) (f64.div (f64.mul (local.get 0) (f64.const 2)) (f64.const 2))))))
