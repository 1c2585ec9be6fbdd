;; A float operation keeps its operands in order, so only the right one can be a load.
;;! show: minst
;;! machine: fold-loads
(module (memory 1)
  (func $right (param f64 i32) (result f64) (f64.add (local.get 0) (f64.load (local.get 1))))
  (func $left (param f64 i32) (result f64) (f64.add (f64.load (local.get 1)) (local.get 0))))
