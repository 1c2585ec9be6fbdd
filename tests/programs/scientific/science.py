"""Numerical programs in C, C++ and Fortran that were made for other machines."""

import numpy as np
from scipy import integrate, interpolate, linalg, optimize, signal, sparse, spatial, special, stats
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

made = np.random.default_rng(5)
np.set_printoptions(precision=12)
print(optimize.minimize(optimize.rosen, [1.3, 0.7, 0.8, 1.9, 1.2], method="BFGS").x)
print(optimize.linprog([-1, 4], A_ub=[[-3, 1], [1, 2]], b_ub=[6, 4], bounds=[(None, None), (-3, None)]).x)
print(
    optimize.brentq(lambda x: np.cos(x) - x, 0, 1),
    optimize.curve_fit(lambda x, a, b: a * x + b, [1, 2, 3], [2, 4, 7])[0],
)
print(integrate.quad(lambda x: np.exp(-x * x), -np.inf, np.inf))
print(integrate.solve_ivp(lambda t, y: [y[1], -y[0]], (0, 9), [1, 0], rtol=1e-9).y[:, -1])
print(interpolate.CubicSpline(range(9), np.sin(range(9)))([0.5, 3.25, 7.75]))
m = made.standard_normal((30, 30))
print(linalg.eigvalsh(m + m.T)[:6], linalg.expm(m / 30)[0, :4], linalg.lu(m)[2][3, 3:6], linalg.norm(linalg.qr(m)[1]))
s = sparse.random(80, 80, 0.1, random_state=np.random.default_rng(1), format="csr") + sparse.eye(80)
print(sparse.linalg.spsolve(s.tocsc(), np.ones(80))[:5], sparse.csgraph.connected_components(s)[0], (s @ s).nnz)
print(signal.butter(4, 0.2), signal.find_peaks(np.sin(np.arange(60) / 3))[0], signal.fftconvolve(m[0], m[1])[:3])
print(special.gamma([0.5, 5, -1.5]), special.jv(2, [1.5, 9]), special.erfinv(0.3), special.expit(m[0, :3]))
print(stats.ttest_ind(m[0], m[1]), stats.norm.ppf([0.01, 0.975]), stats.linregress(range(30), m[2]).slope)
print(spatial.ConvexHull(m[:, :2]).vertices, spatial.cKDTree(m[:, :3]).query([0, 0, 0], 4))
x, y = load_iris(return_X_y=True)
print(PCA(2).fit(x).explained_variance_ratio_, KMeans(3, n_init=4, random_state=1).fit(x).inertia_)
print(LogisticRegression(max_iter=500).fit(x, y).score(x, y), KNeighborsClassifier(5).fit(x, y).predict(x[::15]))
print(RandomForestClassifier(12, random_state=3).fit(x, y).feature_importances_)
