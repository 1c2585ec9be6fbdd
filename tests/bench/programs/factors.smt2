; What the suite `programs` has boolector decide: the factors of a product of two primes.
(set-logic QF_BV)
(declare-fun x () (_ BitVec 32))
(declare-fun y () (_ BitVec 32))
(assert (= (bvmul x y) #x00df59d9))
(assert (bvult #x00000001 x))
(assert (bvult x y))
(assert (bvult y #x00004000))
(check-sat)
