"""Arrays of every kind: what numpy's loops of vectors make of them, special values included."""

import hashlib

import numpy as np


def sum_of(array):
    """A digest of values in which all NaNs are one."""
    array = np.ascontiguousarray(array)
    if array.dtype.kind in "fc":
        array = np.where(np.isnan(array), array.dtype.type(0.125), array)
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


np.seterr(all="ignore")
made = np.random.Generator(np.random.PCG64(7))
for kind in "bBhHiIqQ":
    of = np.iinfo(kind)
    a = made.integers(of.min, of.max, 1003, dtype=kind, endpoint=True)
    b = made.integers(of.min, of.max, 1003, dtype=kind, endpoint=True)
    shift = (b & (of.bits - 1)).astype(kind)
    results = [a + b, a - b, a * b, a & b, a | b, a ^ b, ~a, np.negative(a), np.minimum(a, b), np.maximum(a, b), a < b]
    results += [a == b, a >= b, a << shift, a >> shift, np.abs(a), np.where(a > b, a, b), np.cumsum(a), a[::3] + b[::3]]
    results += [np.sort(a), np.argsort(a, kind="stable"), np.unique(a % 7), np.clip(a, 3, 90), np.bitwise_count(a)]
    results += [a // np.where(b == 0, 1, b), a % np.where(b == 0, 1, b), a.astype("f4"), a.astype("f8"), np.flip(a)]
    print(kind, a.sum(), a.min(), a.max(), a.argmax(), a.any(), np.count_nonzero(a), *map(sum_of, results))
for kind in "efd":
    special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 5e-324, 1e-40, 65504, 2.5, -3.5, 0.1], "d").astype(
        kind
    )
    a = np.concatenate([special, made.standard_normal(991).astype(kind)])
    b = np.concatenate([special[::-1], (made.standard_normal(991) * 9).astype(kind)])
    results = [a + b, a - b, a * b, a / b, np.sqrt(np.abs(a)), np.minimum(a, b), np.maximum(a, b), np.fmin(a, b)]
    results += [
        np.floor(a),
        np.ceil(a),
        np.trunc(a),
        np.rint(a),
        a < b,
        a == b,
        np.isnan(a),
        np.signbit(a),
        np.copysign(a, b),
    ]
    results += [
        np.sort(a),
        np.argsort(b),
        np.abs(a),
        np.exp(a),
        np.log(np.abs(a)),
        np.sin(a),
        np.tanh(b),
        np.power(np.abs(a), b),
    ]
    results += [np.clip(np.nan_to_num(a), -99, 99).astype("i4"), a.astype("f4"), a.astype("e"), np.cumsum(special[:4])]
    whole = np.nan_to_num(a, posinf=9, neginf=-9)
    print(kind, whole.sum(), whole.mean(), whole.std(), whole.argmin(), *map(sum_of, results))
a = (made.standard_normal(640) + 1j * made.standard_normal(640)).reshape(8, 80)
print("complex", sum_of(a * a.conj()), sum_of(np.abs(a)), sum_of(np.fft.fft(a)), sum_of(np.fft.irfft2(a)))
m = made.standard_normal((64, 64))
for name, array in (("d", m), ("f", m.astype("f")), ("D", m + 1j * m.T)):
    print("matrix", name, sum_of(array @ array), sum_of(array @ array[0]), sum_of(np.linalg.inv(array)))
    print(
        "solved", name, sum_of(np.linalg.solve(array, array[1])), sum_of(np.linalg.svd(array)[1]), np.linalg.det(array)
    )
big = np.arange(40000, dtype="d").reshape(200, 200) / 7
print(
    "product", sum_of(big @ big.T), sum_of(np.einsum("ij,jk,k->i", big, big, big[0])), sum_of(np.outer(big[0], big[1]))
)
words = np.array(["pear", "apple", "fig", "é", ""])
print(np.sort(words), np.strings.upper(words), np.strings.find(words, "p"), np.packbits(np.arange(40) % 3 == 0))
print(
    np.histogram(m, 6)[0],
    np.percentile(m, [3, 50, 97]),
    np.convolve(m[0], m[1], "valid"),
    np.interp([0.5], [0, 1], [2, 4]),
)
print(made.integers(0, 9, 12), made.permutation(9), made.choice(5, 4), made.poisson(3, 6), made.beta(1, 2, 2))
try:
    np.linalg.inv(np.zeros((3, 3)))
except np.linalg.LinAlgError as error:
    print(error)
