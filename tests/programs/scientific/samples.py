"""Statistics: distributions, tests, resampling, densities, clusters of a tree, mixed models by hand."""

import warnings

import numpy as np
from scipy import cluster, stats

np.set_printoptions(precision=9, linewidth=110)
warnings.simplefilter("ignore")
made = np.random.default_rng(12)
a, b, c = made.normal(0, 1, 60), made.normal(0.4, 1.2, 55), made.exponential(1, 50)


def shown(result):
    return f"{result.statistic:.10g} {result.pvalue:.10g}"


for name, result in {
    "t": stats.ttest_ind(a, b),
    "welch": stats.ttest_ind(a, b, equal_var=False),
    "paired": stats.ttest_rel(a[:50], c),
    "mann": stats.mannwhitneyu(a, b),
    "wilcoxon": stats.wilcoxon(a[:40] - b[:40]),
    "kruskal": stats.kruskal(a, b, c),
    "anova": stats.f_oneway(a, b, c),
    "levene": stats.levene(a, b, c),
    "bartlett": stats.bartlett(a, b),
    "ks": stats.ks_2samp(a, c),
    "normal": stats.kstest(a, "norm"),
    "shapiro": stats.shapiro(c),
    "jarque": stats.jarque_bera(c),
    "skew": stats.skewtest(c),
    "friedman": stats.friedmanchisquare(a[:20], b[:20], c[:20]),
    "fisher": stats.fisher_exact([[8, 2], [1, 5]]),
    "chi": stats.chisquare([16, 18, 16, 14, 12, 12]),
    "binomial": stats.binomtest(31, 50),
    "ansari": stats.ansari(a, b),
    "pearson": stats.pearsonr(a[:50], c),
    "spearman": stats.spearmanr(a[:50], c),
    "kendall": stats.kendalltau(a[:50], c),
    "permutation": stats.permutation_test((a, b), lambda x, y: x.mean() - y.mean(), n_resamples=500, rng=3),
    "monte carlo": stats.monte_carlo_test(a, np.random.default_rng(1).standard_normal, np.mean, n_resamples=300),
}.items():
    print(name, shown(result))
print(
    stats.chi2_contingency([[10, 20, 30], [6, 9, 17]])[:3],
    stats.anderson(c, "expon").statistic,
    stats.tukey_hsd(a, b, c).pvalue[0],
)
print(
    stats.bootstrap((a,), np.median, n_resamples=400, rng=9, method="percentile").confidence_interval,
    stats.sem(a),
    stats.iqr(b),
)
for frozen in (
    stats.norm(1, 2),
    stats.gamma(2.5),
    stats.beta(2, 3),
    stats.t(4.5),
    stats.weibull_min(1.5),
    stats.lognorm(0.6),
    stats.binom(20, 0.3),
    stats.poisson(4.2),
    stats.nbinom(5, 0.4),
    stats.hypergeom(50, 12, 10),
    stats.vonmises(2),
    stats.pareto(3.5),
):
    mass = frozen.pmf(3) if hasattr(frozen.dist, "pmf") else frozen.pdf(0.7)
    numbers = [
        mass,
        frozen.cdf(1.1),
        frozen.ppf(0.9),
        frozen.sf(2),
        frozen.std(),
        float(frozen.entropy()),
        *frozen.stats("sk"),
    ]
    print(frozen.dist.name, [f"{float(number):.10g}" for number in numbers], frozen.rvs(3, random_state=5))
print(
    stats.norm.fit(b),
    stats.gamma.fit(c, floc=0),
    stats.expon.fit(c),
    stats.goodness_of_fit(stats.norm, a, n_mc_samples=50, rng=2).pvalue,
)
kernel = stats.gaussian_kde(np.vstack([a[:50], c]))
print(
    kernel([[0, 1], [0.5, 2]]),
    kernel.factor,
    kernel.integrate_box([-9, -9], [9, 9]),
    stats.gaussian_kde(b, "silverman")(0.3),
)
print(stats.linregress(a[:50], c), stats.theilslopes(c, a[:50])[:2], stats.siegelslopes(c[:20], a[:20]))
print(
    stats.describe(np.column_stack([a[:50], c])),
    stats.zscore([1, 2, 3, 10]),
    stats.trim_mean(c, 0.1),
    stats.mode([1, 2, 2, 3]),
)
print(
    stats.rankdata([3, 1, 3, 2]),
    stats.percentileofscore(a, 0.5),
    stats.boxcox(c)[1],
    stats.yeojohnson(a)[1],
    stats.binned_statistic(a[:50], c, bins=4).statistic,
)
print(
    stats.multivariate_normal([0, 1], [[2, 0.3], [0.3, 0.5]]).pdf([[0, 0], [1, 1]]),
    stats.dirichlet([1, 2, 3]).pdf([0.2, 0.3, 0.5]),
)
print(
    stats.qmc.Sobol(2, rng=1).random(4),
    stats.qmc.discrepancy(stats.qmc.Halton(2, rng=2).random(30)),
    stats.entropy([0.2, 0.8], base=2),
)
print(
    stats.wasserstein_distance(a, b),
    stats.energy_distance(a, b),
    stats.false_discovery_control([0.01, 0.04, 0.03]),
    stats.hmean([1, 2, 4]),
)
points = np.vstack([made.normal(at, 0.3, (15, 2)) for at in ((0, 0), (3, 1), (1, 4))])
for method in ("ward", "single", "average", "complete"):
    links = cluster.hierarchy.linkage(points, method)
    print(
        method,
        links[-3:, 2],
        np.bincount(cluster.hierarchy.fcluster(links, 3, "maxclust")),
        cluster.hierarchy.leaves_list(links)[:6],
    )
print(cluster.hierarchy.cophenet(links, np.linalg.norm(points[:, None] - points, axis=2)[np.triu_indices(45, 1)])[0])
print(cluster.vq.kmeans2(cluster.vq.whiten(points), 3, seed=3, minit="++")[0])
group = np.repeat(np.arange(12), 10)
effect = made.normal(0, 1.5, 12)[group]
covariate = made.normal(0, 1, 120)
response = 2 + 0.8 * covariate + effect + made.normal(0, 0.5, 120)
between, within, beta = 1.0, 1.0, np.zeros(2)
design = np.column_stack([np.ones(120), covariate])
for _ in range(60):
    sums = np.bincount(group, response - design @ beta)
    shrunk = sums / (10 + within / between)
    spread = within / (10 + within / between)
    beta = np.linalg.lstsq(design, response - shrunk[group])[0]
    between = (shrunk**2).mean() + spread
    within = ((response - design @ beta - shrunk[group]) ** 2).mean() + spread
print(beta, between, within, shrunk[:4])
