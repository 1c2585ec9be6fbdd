"""Linear algebra by hand and by numpy: least squares, eigenvalues, a Kalman filter, random walks, structured arrays."""

import io
import zlib

import numpy as np

np.set_printoptions(precision=10, linewidth=110)
made = np.random.default_rng(2024)


def digest(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


x = np.linspace(-1, 1, 80)
y = 1.5 - 2 * x + 0.7 * x**3 + made.normal(0, 0.05, x.size)
basis = np.vander(x, 6, increasing=True)
found, residue, rank, singular = np.linalg.lstsq(basis, y)
q, r = np.linalg.qr(basis)
assert np.allclose(np.linalg.solve(r, q.T @ y), found)
print(found, residue, rank, singular)
print(np.polynomial.Polynomial.fit(x, y, 3).convert().coef, np.polynomial.chebyshev.chebfit(x, y, 4))
print(np.roots([1, -6, 11, -6]), np.poly([1, 2, 3]), np.polyval([2, 0, -1], [1, 2]), np.trapezoid(y, x))
sym = made.standard_normal((20, 20))
sym += sym.T
values, vectors = np.linalg.eigh(sym)
v = np.ones(20)
shift = np.abs(values).max() * 2
for _ in range(2000):
    v = sym @ v + shift * v
    v /= np.linalg.norm(v)
print(values[[0, 9, 19]], abs(v @ sym @ v - values[-1]) < 1e-9, np.linalg.cond(sym), np.linalg.slogdet(sym))
u, s, vt = np.linalg.svd(made.standard_normal((30, 12)), full_matrices=False)
print(s, np.linalg.norm(u.T @ u - np.eye(12)) < 1e-12, np.linalg.matrix_rank((u[:, :4] * s[:4]) @ vt[:4]))
print(
    np.linalg.pinv(np.arange(6.0).reshape(2, 3)),
    np.linalg.cholesky(np.eye(3) * 4 + 1),
    np.kron([1, 2], [[1, 0], [0, 1]]),
)
state, cover = np.zeros(4), np.eye(4) * 100
move = np.eye(4) + np.eye(4, k=2) * 0.1
see, noise, drift = np.eye(2, 4), np.eye(2) * 0.25, np.eye(4) * 1e-4
true, track = np.array([0, 0, 1, -0.5]), []
for _ in range(150):
    true = move @ true
    seen = see @ true + made.normal(0, 0.5, 2)
    state, cover = move @ state, move @ cover @ move.T + drift
    gain = cover @ see.T @ np.linalg.inv(see @ cover @ see.T + noise)
    state, cover = state + gain @ (seen - see @ state), (np.eye(4) - gain @ see) @ cover
    track.append(state)
print(np.array(track)[::30], np.abs(state - true).max(), digest(np.array(track)))
walks = made.choice([-1, 1], (500, 400)).cumsum(axis=1)
print(
    walks[:, -1].mean(),
    walks.var(axis=0)[[9, 99, 399]],
    (np.abs(walks) >= 20).any(axis=1).sum(),
    np.median(walks.max(1)),
)
kinds = np.dtype([("name", "U8"), ("when", "M8[D]"), ("at", "f4", (2,)), ("n", ">i2")])
table = np.zeros(6, kinds)
table["name"] = ["fig", "apple", "pear", "kiwi", "date", "plum"]
table["when"] = np.datetime64("2024-02-27") + np.arange(6)
table["at"] = made.random((6, 2), dtype="f4")
table["n"] = [3, 1, 2, 3, 1, 2]
print(
    np.sort(table, order=["n", "name"])[["n", "name"]], table[table["when"] > np.datetime64("2024-02-29")]["at"].sum(0)
)
print(np.busday_count("2024-02-01", "2024-03-01"), np.diff(table["when"]), table["when"].astype("M8[M]")[[0, 5]])
file = io.BytesIO()
np.savez_compressed(file, a=sym, b=table, c=np.arange(5) > 2)
file.seek(0)
with np.load(file) as kept:
    print(sorted(kept.files), digest(kept["b"]["at"]), bool((kept["a"] == sym).all()), kept["c"])
text = io.StringIO()
np.savetxt(text, sym[:3, :4], fmt="%.5e", delimiter=";", header="h")
print(np.loadtxt(io.StringIO(text.getvalue()), delimiter=";").shape, text.getvalue()[:40])
print(np.genfromtxt(io.StringIO("a,b\n1,\n3,x\n"), delimiter=",", names=True, filling_values=-1))
masked = np.ma.masked_outside(made.normal(0, 1, (4, 5)), -1, 1)
print(masked, masked.mean(axis=0), masked.count(), np.ma.median(masked))
windows = np.lib.stride_tricks.sliding_window_view(np.arange(12).reshape(3, 4), (2, 2))
print(windows.sum(axis=(2, 3)), np.pad(np.eye(2), ((1, 0), (0, 2)), "reflect"), np.tril(np.ones((3, 3)), -1))
print(
    np.einsum("ijk,kl->il", np.arange(24).reshape(2, 3, 4), np.arange(8).reshape(4, 2)),
    np.einsum_path("ij,jk,kl", *[sym] * 3)[0],
)
print(np.unique([3, 1, 3, 2], return_counts=True, return_inverse=True), np.searchsorted([1, 3, 5], [0, 3, 9], "right"))
print(
    np.select([x < -0.9, x > 0.95], [x, -x], 0)[[0, 1, -1]],
    np.piecewise(x, [x < 0], [lambda v: -v, 2])[:2],
    np.gradient(y)[:3],
)
grid = np.meshgrid(np.arange(3), np.arange(4), indexing="ij")
print(
    np.ravel_multi_index(grid, (3, 4)).T,
    np.unravel_index([5, 11], (3, 4)),
    np.take_along_axis(sym, sym.argmin(1)[:, None], 1)[:3, 0],
)
previous = np.seterr(all="raise")
for work in (
    lambda: np.float64(1) / 0,
    lambda: np.exp(np.float64(1e3)),
    lambda: np.int8(100) * np.int8(2),
    lambda: np.sqrt(-1.0),
):
    try:
        print(work())
    except FloatingPointError as error:
        print(error)
np.seterr(**previous)
for work in (
    lambda: np.ones(3) + np.ones(4),
    lambda: np.arange(3)[7],
    lambda: np.array([1, "a"]).sum(),
    lambda: np.zeros((2, -1)),
):
    try:
        print(work())
    except (ValueError, IndexError, TypeError) as error:
        print(type(error).__name__, str(error)[:80])
for bits in (np.random.MT19937(3), np.random.Philox(3), np.random.SFC64(3), np.random.PCG64DXSM(3)):
    of = np.random.Generator(bits)
    print(of.integers(0, 1 << 40, 2), of.gamma(2.5, size=2), of.multivariate_normal([0, 1], np.eye(2)), of.zipf(2.2, 3))
