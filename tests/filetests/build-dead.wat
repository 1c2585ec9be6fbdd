;; Behind a branch nothing is built until something can be reached again.
;;! show: ssa
;;! run: f => 7
(module (func $f (export "f") (result i32)
  (block $out (result i32)
    (br $out (i32.const 7))
    (drop (i32.mul (i32.const 3)))
    (loop (br 0))
    (i32.const 8))))
