;; unroll: four copies, one poll; the counter leaves by a parameter of the block behind, from any copy.
;;! show: opt
;;! passes: unroll
;;! run: f 0 => 1
;;! run: f 6 => 6
;;! run: f 9 => 9
(module (func $f (export "f") (param $n i32) (result i32) (local $i i32)
  (loop $l
    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
  (local.get $i)))
