"""Learning with labels: pipelines, cross validation, trees, forests, boosting, linear models, neighbours, a search."""

import pickle
import warnings
import zlib

import numpy as np
from sklearn import (
    datasets,
    ensemble,
    linear_model,
    metrics,
    model_selection,
    naive_bayes,
    neighbors,
    preprocessing,
    svm,
    tree,
)
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectKBest, mutual_info_classif
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union

warnings.simplefilter("ignore")
np.set_printoptions(precision=7, linewidth=110)
x, y = datasets.make_classification(400, 8, n_informative=5, n_classes=3, random_state=3)
train_x, test_x, train_y, test_y = model_selection.train_test_split(x, y, test_size=0.3, random_state=1, stratify=y)
for model in (
    linear_model.LogisticRegression(max_iter=500),
    linear_model.SGDClassifier(random_state=2),
    LinearDiscriminantAnalysis(),
    naive_bayes.GaussianNB(),
    neighbors.KNeighborsClassifier(7, weights="distance"),
    svm.SVC(gamma="auto", probability=False),
    svm.LinearSVC(random_state=0),
    tree.DecisionTreeClassifier(max_depth=5, random_state=4),
    ensemble.RandomForestClassifier(20, random_state=5),
    ensemble.ExtraTreesClassifier(15, random_state=6),
    ensemble.GradientBoostingClassifier(n_estimators=15, random_state=7),
    ensemble.HistGradientBoostingClassifier(max_iter=15, random_state=8),
    ensemble.AdaBoostClassifier(n_estimators=12, random_state=9),
    ensemble.BaggingClassifier(n_estimators=8, random_state=10),
    MLPClassifier((12,), max_iter=60, random_state=11),
):
    model.fit(train_x, train_y)
    said = model.predict(test_x)
    print(
        type(model).__name__,
        metrics.accuracy_score(test_y, said),
        f"{metrics.f1_score(test_y, said, average='macro'):.9f}",
        zlib.crc32(said.tobytes()),
    )
forest = ensemble.RandomForestClassifier(20, random_state=5).fit(train_x, train_y)
print(
    metrics.confusion_matrix(test_y, forest.predict(test_x)),
    metrics.classification_report(test_y, forest.predict(test_x), digits=4),
)
print(
    metrics.roc_auc_score(test_y, forest.predict_proba(test_x), multi_class="ovr"),
    metrics.log_loss(test_y, forest.predict_proba(test_x)),
)
print(
    forest.feature_importances_,
    permutation_importance(forest, test_x, test_y, n_repeats=3, random_state=0).importances_mean,
)
print(tree.export_text(tree.DecisionTreeClassifier(max_depth=2, random_state=0).fit(train_x, train_y), decimals=4))
assert (pickle.loads(pickle.dumps(forest)).predict(test_x) == forest.predict(test_x)).all()
folds = model_selection.StratifiedKFold(4, shuffle=True, random_state=2)
pipeline = make_pipeline(
    preprocessing.StandardScaler(), preprocessing.PolynomialFeatures(2), linear_model.LogisticRegression(max_iter=300)
)
print(model_selection.cross_val_score(pipeline, x, y, cv=folds), [test[:3].tolist() for _, test in folds.split(x, y)])
search = model_selection.GridSearchCV(svm.SVC(), {"C": [0.1, 1, 10], "kernel": ["rbf", "linear"]}, cv=3).fit(
    train_x, train_y
)
print(search.best_params_, search.best_score_, search.cv_results_["mean_test_score"])
some = model_selection.RandomizedSearchCV(
    tree.DecisionTreeClassifier(random_state=1),
    {"max_depth": range(1, 12), "min_samples_leaf": range(1, 20)},
    n_iter=6,
    random_state=3,
)
print(
    some.fit(train_x, train_y).best_params_,
    model_selection.learning_curve(naive_bayes.GaussianNB(), x, y, cv=3)[2].mean(axis=1),
)
rough = x.copy()
rough[np.random.default_rng(1).random(rough.shape) < 0.1] = np.nan
both = ColumnTransformer(
    [
        (
            "a",
            make_pipeline(SimpleImputer(strategy="median"), preprocessing.QuantileTransformer(n_quantiles=20)),
            [0, 1, 2],
        ),
        ("b", KNNImputer(n_neighbors=3), slice(3, 8)),
    ]
)
print(
    both.fit_transform(rough).sum(axis=0),
    SelectKBest(mutual_info_classif, k=3).fit(x[:, :6], y).get_support() is not None,
)
print(
    RFE(linear_model.LogisticRegression(max_iter=300), n_features_to_select=3).fit(x, y).ranking_,
    make_union(preprocessing.MinMaxScaler(), preprocessing.RobustScaler()).fit_transform(x).shape,
)
words = np.array([["red", "s"], ["blue", "m"], ["red", "l"], ["green", "m"]])
print(
    preprocessing.OneHotEncoder(sparse_output=False).fit_transform(words),
    preprocessing.OrdinalEncoder().fit(words).categories_,
    preprocessing.LabelEncoder().fit_transform(words[:, 0]),
)
print(
    preprocessing.KBinsDiscretizer(4, encode="ordinal", strategy="kmeans").fit_transform(x[:, :2])[:3].tolist(),
    preprocessing.PowerTransformer().fit(np.abs(x)).lambdas_[:3],
)
a, b = datasets.make_regression(200, 10, n_informative=4, noise=5, random_state=12)
for model in (
    linear_model.LinearRegression(),
    linear_model.Ridge(2.0),
    linear_model.Lasso(0.5),
    linear_model.ElasticNet(0.3),
    linear_model.LassoLarsIC(),
    linear_model.BayesianRidge(),
    linear_model.HuberRegressor(),
    linear_model.RANSACRegressor(random_state=1),
    linear_model.OrthogonalMatchingPursuit(),
    linear_model.PoissonRegressor(),
    svm.SVR(C=50),
    ensemble.RandomForestRegressor(15, random_state=2),
    neighbors.KNeighborsRegressor(4),
):
    target = np.exp(b / 200) if isinstance(model, linear_model.PoissonRegressor) else b
    guess = model.fit(a[:150], target[:150]).predict(a[150:])
    print(
        type(model).__name__,
        f"{metrics.r2_score(target[150:], guess):.8f} {metrics.mean_absolute_error(target[150:], guess):.8f}",
    )
print(linear_model.lasso_path(a, b, n_alphas=4)[0], np.count_nonzero(linear_model.LassoCV(cv=3).fit(a, b).coef_))
for bad in (
    lambda: svm.SVC().predict(x),
    lambda: svm.SVC(C=-1).fit(x, y),
    lambda: tree.DecisionTreeClassifier().fit(x, y[:-1]),
    lambda: linear_model.Ridge().fit(rough, y),
):
    try:
        bad()
    except (ValueError, NotFittedError) as error:
        print(type(error).__name__, str(error).split("\n")[0][:90])
