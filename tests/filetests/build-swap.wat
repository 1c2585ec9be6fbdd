;; Two loop parameters that change places: the arguments of the back edge are read before any is written.
;;! show: ssa minst
;;! run: f 10 3 3 => 3
;;! run: f 10 3 2 => 10
(module (func $f (export "f") (param $a i32) (param $b i32) (param $n i32) (result i32)
  (loop $again
    (local.get $a) (local.set $a (local.get $b)) (local.set $b)
    (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
  (local.get $a)))
