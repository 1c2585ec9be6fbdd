;; unroll: of a construct with two loops behind each other each is copied, and what lies between them is not.
;;! show: opt
;;! passes: cfg unroll
;;! run: f 3 5 => 4015
(module
  (func $f (export "f") (param $n i32) (param $m i32) (result i32) (local $s i32)
    (loop $first
      (local.set $s (i32.add (local.get $s) (i32.const 2)))
      (br_if $first (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
      (local.set $s (i32.mul (local.get $s) (i32.const 668)))
      (loop $second
        (local.set $s (i32.add (local.get $s) (local.get $m)))
        (br_if $second (local.tee $m (i32.sub (local.get $m) (i32.const 1))))))
    (i32.add (local.get $s) (i32.const -8))))
