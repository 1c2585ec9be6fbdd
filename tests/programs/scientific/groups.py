"""Learning without labels: clusters, mixtures, components, manifolds, texts, outliers, kernels, Gaussian processes."""

import warnings
import zlib

import numpy as np
from sklearn import (
    cluster,
    covariance,
    datasets,
    decomposition,
    manifold,
    metrics,
    mixture,
    neighbors,
    preprocessing,
    random_projection,
)
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import OneClassSVM

warnings.simplefilter("ignore")
np.set_printoptions(precision=6, linewidth=110, suppress=True)
points, truth = datasets.make_blobs(180, 3, centers=4, cluster_std=1.1, random_state=6)
for model in (
    cluster.KMeans(4, n_init=3, random_state=0),
    cluster.MiniBatchKMeans(4, n_init=3, random_state=0),
    cluster.AgglomerativeClustering(4),
    cluster.DBSCAN(1.2),
    cluster.HDBSCAN(8),
    cluster.OPTICS(min_samples=9),
    cluster.MeanShift(bandwidth=3),
    cluster.AffinityPropagation(random_state=1),
    cluster.SpectralClustering(4, random_state=2),
    cluster.Birch(n_clusters=4),
    cluster.BisectingKMeans(4, random_state=3),
    mixture.GaussianMixture(4, random_state=4),
    mixture.BayesianGaussianMixture(n_components=6, random_state=5, max_iter=80),
):
    said = model.fit_predict(points)
    print(
        type(model).__name__,
        len(set(said.tolist())),
        f"{metrics.adjusted_rand_score(truth, said):.8f}",
        zlib.crc32(said.astype("i8").tobytes()),
    )
fitted = mixture.GaussianMixture(4, random_state=4).fit(points)
print(
    fitted.aic(points),
    fitted.weights_,
    fitted.sample(2)[0].shape,
    metrics.silhouette_score(points, truth),
    metrics.davies_bouldin_score(points, truth),
)
print(
    [f"{cluster.KMeans(k, n_init=1, random_state=0).fit(points).inertia_:.5f}" for k in range(1, 6)],
    metrics.v_measure_score(truth, said),
)
digits, labels = datasets.load_digits(return_X_y=True)
digits, labels = digits[:300], labels[:300]
components = decomposition.PCA(6, svd_solver="full").fit(digits)
print(components.explained_variance_ratio_, np.abs(components.transform(digits)[0]), components.noise_variance_)
for model in (
    decomposition.NMF(5, random_state=0, max_iter=150),
    decomposition.FastICA(4, random_state=1, max_iter=300),
    decomposition.TruncatedSVD(5, random_state=2),
    decomposition.FactorAnalysis(3, random_state=3),
    decomposition.KernelPCA(3, kernel="rbf", gamma=0.001, random_state=0),
    decomposition.SparsePCA(3, random_state=4, max_iter=10),
    decomposition.IncrementalPCA(4, batch_size=60),
    random_projection.GaussianRandomProjection(8, random_state=5),
    manifold.Isomap(n_components=2),
    manifold.LocallyLinearEmbedding(random_state=6),
    Nystroem(gamma=0.01, n_components=10, random_state=7),
):
    made = model.fit_transform(digits)
    print(type(model).__name__, made.shape, f"{np.abs(made).sum():.4f}")
print(f"{np.abs(manifold.MDS(2, n_init=1, max_iter=30, random_state=8).fit(digits[:40]).embedding_).sum():.4f}")
print(manifold.TSNE(perplexity=10, max_iter=260, random_state=9, init="pca").fit_transform(digits[:60]).shape)
texts = [
    "the cat sat on the mat",
    "the dog sat on the log",
    "cats and dogs",
    "a log of the cat's naps",
    "",
    "Ünïcode words—words",
]
counts = CountVectorizer(ngram_range=(1, 2), min_df=1, stop_words=["the"])
print(
    counts.fit_transform(texts).toarray().sum(axis=0),
    counts.get_feature_names_out()[:9],
    sorted(counts.vocabulary_.items())[-2:],
)
weights = TfidfVectorizer(sublinear_tf=True).fit_transform(texts)
print(
    weights.nnz, cosine_similarity(weights[0], weights), HashingVectorizer(n_features=16).transform(texts).toarray()[1]
)
topics = decomposition.LatentDirichletAllocation(2, random_state=1, max_iter=8).fit(counts.transform(texts))
print(topics.transform(counts.transform(texts)), topics.perplexity(counts.transform(texts)))
for model in (
    IsolationForest(n_estimators=30, random_state=1),
    neighbors.LocalOutlierFactor(n_neighbors=12),
    covariance.EllipticEnvelope(random_state=2),
    OneClassSVM(nu=0.1),
):
    odd = model.fit_predict(np.vstack([points, [[40, 40, 40], [-30, 0, 9]]]))
    print(type(model).__name__, (odd == -1).sum(), odd[-2:])
near = neighbors.NearestNeighbors(n_neighbors=3, algorithm="ball_tree", metric="manhattan").fit(points)
print(near.kneighbors(points[:2]), neighbors.KernelDensity(bandwidth=0.8).fit(points).score_samples(points[:3]))
x = np.linspace(0, 5, 25)[:, None]
process = GaussianProcessRegressor(RBF(1.0) + WhiteKernel(0.1), random_state=0).fit(x, np.sin(x[:, 0]))
mean, spread = process.predict([[0.3], [7.0]], return_std=True)
print(mean.round(4), spread.round(3), IsotonicRegression().fit_transform([1, 2, 3, 4, 5], [1, 3, 2, 6, 5]))
half = np.where(np.random.default_rng(3).random(300) < 0.8, -1, labels)
print(
    LabelSpreading(kernel="knn").fit(digits, half).score(digits, labels),
    preprocessing.normalize(points[:2], "l1"),
    covariance.LedoitWolf().fit(points).shrinkage_,
)
