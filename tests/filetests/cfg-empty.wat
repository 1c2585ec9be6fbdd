;; cfg: an edge through empty blocks leads to where they end.
;;! show: ssa opt
;;! passes: cfg
;;! run: f 0 => 1
(module (func $f (export "f") (param i32) (result i32)
  (block $a (block $b (block $c (br_if $c (local.get 0)) (br $b)) (br $b)) (br $a))
  (i32.const 1)))
