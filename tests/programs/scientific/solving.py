"""Equations: roots, minima, integrals, differential equations, splines, sparse systems, trees of points."""

import warnings

import numpy as np
from scipy import constants, integrate, interpolate, linalg, optimize, sparse, spatial, special
from scipy.sparse import csgraph
from scipy.sparse.linalg import cg, eigsh, expm_multiply, splu, spsolve

np.set_printoptions(precision=8, linewidth=110, suppress=True)
warnings.simplefilter("ignore")
made = np.random.default_rng(4)


def rosen(x):
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


for method in ("Nelder-Mead", "BFGS", "L-BFGS-B", "Powell", "CG", "TNC", "SLSQP", "COBYLA"):
    found = optimize.minimize(rosen, [-1.2, 1, 0.5], method=method, options={"maxiter": 2000})
    print(method, bool(found.success), np.round(found.x, 3), found.fun < 1e-3)
print(
    optimize.brentq(lambda x: np.cos(x) - x, 0, 1),
    optimize.newton(lambda x: x**3 - 2, 1.0),
    optimize.bisect(np.sin, 3, 4),
)
print(optimize.root(lambda v: [v[0] ** 2 + v[1] - 3, v[0] - v[1] + 1], [1, 1]).x, optimize.fixed_point(np.cos, 1.0))
bounds = optimize.linprog([-3, -5], A_ub=[[1, 0], [0, 2], [3, 2]], b_ub=[4, 12, 18])
print(
    bounds.x,
    bounds.fun,
    optimize.milp([-1, -2], constraints=optimize.LinearConstraint([[2, 3]], ub=12.5), integrality=[1, 1]).x,
)
x = np.linspace(0, 5, 60)
y = 2.5 * np.exp(-1.3 * x) + 0.5 + made.normal(0, 0.02, 60)
best, cover = optimize.curve_fit(lambda x, a, b, c: a * np.exp(-b * x) + c, x, y, [1, 1, 1])
print(best, np.sqrt(np.diag(cover)), optimize.least_squares(lambda p: p[0] * x + p[1] - y, [0, 0], loss="soft_l1").x)
print(
    optimize.differential_evolution(
        lambda v: (v**2 - 10 * np.cos(2 * np.pi * v)).sum() + 20, [(-5, 5)] * 2, rng=1, maxiter=60
    ).x
)
print(
    optimize.linear_sum_assignment([[4, 1, 3], [2, 0, 5], [3, 2, 2]]),
    optimize.nnls([[1, 0], [1, 1], [0, 1.0]], [2, 1, -1])[0],
)
print(
    integrate.quad(lambda x: np.exp(-(x**2)), -np.inf, np.inf),
    integrate.dblquad(lambda y, x: x * y, 0, 1, 0, lambda x: x)[0],
)
print(
    integrate.simpson(y, x=x),
    integrate.cumulative_trapezoid(y, x)[-1],
    integrate.fixed_quad(np.sin, 0, 3, n=6)[0],
    integrate.romb(np.arange(9) ** 2),
)


def lorenz(t, v, s=10, r=28, b=8 / 3):
    return [s * (v[1] - v[0]), v[0] * (r - v[2]) - v[1], v[0] * v[1] - b * v[2]]


for method in ("RK45", "DOP853", "Radau", "BDF", "LSODA"):
    path = integrate.solve_ivp(lorenz, (0, 2), [1, 1, 1], method=method, rtol=1e-9, atol=1e-10)
    print(method, path.y[:, -1].round(5), path.nfev)
hit = integrate.solve_ivp(
    lambda t, v: [v[1], -9.81], (0, 10), [10, 5], events=(ground := lambda t, v: v[0]), dense_output=True
)
print(hit.t_events[0], hit.sol(1.0), integrate.odeint(lambda v, t: -v, 1.0, [0, 1, 2])[:, 0])
knots = np.arange(8.0)
values = np.sin(knots)
for make in (
    interpolate.CubicSpline,
    interpolate.PchipInterpolator,
    interpolate.Akima1DInterpolator,
    interpolate.make_interp_spline,
):
    print(make.__name__, make(knots, values)(2.5), make(knots, values)([0.1, 6.9]))
spline = interpolate.UnivariateSpline(x, y, s=0.05)
print(
    len(spline.get_knots()),
    spline(2.2),
    spline.derivative()(2.2),
    spline.integral(0, 5),
    interpolate.BSpline.basis_element([0, 1, 2, 3])(1.5),
)
points = made.random((60, 2))
print(
    interpolate.griddata(points, points.sum(1), (0.5, 0.4)),
    interpolate.RBFInterpolator(points, points[:, 0] ** 2)([[0.5, 0.5]]),
)
print(interpolate.RegularGridInterpolator((knots, knots), np.add.outer(knots, knots**2))([[1.5, 2.5]]))
matrix = made.standard_normal((12, 12))
p, lower, upper = linalg.lu(matrix)
print(
    np.allclose(p @ lower @ upper, matrix),
    linalg.det(matrix),
    linalg.expm(matrix / 9)[0, :3],
    linalg.norm(linalg.sqrtm(matrix @ matrix.T)),
)
print(
    linalg.solve_banded((1, 1), np.array([[0, 1, 1], [4, 4, 4], [1, 1, 0]]), [1, 2, 3]),
    linalg.toeplitz([1, 2, 3])[1],
    linalg.null_space([[1, 1, 1]]).shape,
)
print(
    np.sort_complex(linalg.eigvals(matrix)).round(6)[:4],
    linalg.schur(matrix)[0].diagonal().sum(),
    linalg.hessenberg(matrix)[3, :2],
)
grid = sparse.diags_array([-1, 4, -1], offsets=[-1, 0, 1], shape=(30, 30))
poisson = sparse.csc_array(
    sparse.kron(sparse.eye_array(30), grid)
    + sparse.kron(sparse.diags_array([-1, -1], offsets=[-1, 1], shape=(30, 30)), sparse.eye_array(30))
)
right = np.ones(900)
solved = spsolve(poisson, right)
print(poisson.nnz, solved.max(), np.allclose(cg(poisson, right, rtol=1e-10)[0], solved), splu(poisson).solve(right)[:2])
print(
    eigsh(poisson, 3, sigma=0, return_eigenvectors=False),
    expm_multiply(-poisson * 0.1, right)[450],
    abs(poisson - poisson.T).max(),
)
coo = sparse.coo_array(([1, 2, 3, 4], ([0, 1, 1, 2], [1, 0, 2, 2])), shape=(3, 3))
print(
    coo.tocsr().indptr,
    (coo @ coo).toarray(),
    coo.tolil().rows,
    sparse.vstack([coo, coo]).tocsc().sum(axis=0),
    coo.todok()[1, 2],
)
graph = sparse.random_array(
    (40, 40), density=0.08, rng=made, data_sampler=lambda size: made.integers(1, 9, size)
).tocsr()
print(
    csgraph.dijkstra(graph, indices=0)[:8],
    csgraph.connected_components(graph, connection="strong")[0],
    csgraph.minimum_spanning_tree(graph).sum(),
)
print(csgraph.maximum_flow(graph.astype("i4").tocsr(), 0, 39).flow_value, csgraph.breadth_first_order(graph, 0)[0][:6])
tree = spatial.KDTree(points)
print(tree.query([[0.5, 0.5]], k=3), tree.query_ball_point([0.5, 0.5], 0.15), len(tree.query_pairs(0.1)))
print(spatial.ConvexHull(points).area, spatial.Delaunay(points).simplices.shape, spatial.Voronoi(points).vertices.shape)
print(
    spatial.distance.cdist(points[:2], points[2:4], "cityblock"),
    spatial.distance.pdist(points[:3], "cosine"),
    spatial.procrustes(points, points[::-1])[2],
)
print(
    spatial.transform.Rotation.from_euler("xyz", [30, 40, 50], degrees=True).as_quat(),
    spatial.geometric_slerp([1, 0], [0, 1], [0.5]),
)
for name, given in (
    ("gamma", (4.5,)),
    ("jv", (1, 2.5)),
    ("erf", (0.3,)),
    ("zeta", (3,)),
    ("ellipk", (0.5,)),
    ("expit", (2,)),
    ("hyp2f1", (1, 2, 3, 0.4)),
    ("lambertw", (1,)),
    ("airy", (1,)),
    ("betainc", (2, 3, 0.4)),
    ("digamma", (5,)),
    ("kv", (0.5, 2)),
    ("eval_legendre", (5, 0.3)),
    ("comb", (9, 4)),
    ("wofz", (1j,)),
):
    print(name, np.round(getattr(special, name)(*given), 10), end=" ")
print(
    special.roots_legendre(4)[0],
    special.logsumexp([1000, 1001]),
    special.softmax([1.0, 2]),
    constants.physical_constants["speed of light in vacuum"],
)
