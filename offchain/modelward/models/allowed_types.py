"""The types a bundle may hold beyond those skops trusts by itself.

All of them belong to fitted scikit-learn estimators, and none runs code of its own choosing when it
is rebuilt or called. skops leaves some out because their content can make `predict` read out of
bounds (trees, neighbour indices): a bundle is opened only after its hash was checked. What calls a
function given by the file (`PyFuncDistance`, lambdas, user classes) stays out.
"""

from __future__ import annotations

_BY_MODULE = {
    "collections": "UserList",
    "functools": "partial",
    "numpy": "dtype mean",
    "scipy._lib.array_api_compat.numpy._aliases": "asarray",
    "scipy.interpolate._bsplines": "BSpline",
    "scipy.sparse._csc": "csc_array csc_matrix",
    "scipy.sparse._csr": "csr_array csr_matrix",
    "sklearn._loss.link": "Interval",
    "sklearn._loss.loss": "HalfTweedieLoss HalfTweedieLossIdentity",
    "sklearn.calibration": "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "sklearn.compose._column_transformer": "_RemainderColsList make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_regression r_regression",
    "sklearn.gaussian_process._gpc": "_BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels": (
        "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern"
        " PairwiseKernel Product RBF RationalQuadratic Sum WhiteKernel"
    ),
    "sklearn.impute._iterative": "IterativeImputer _ImputerTriplet",
    "sklearn.metrics._classification": (
        "accuracy_score balanced_accuracy_score f1_score jaccard_score log_loss matthews_corrcoef"
        " precision_score recall_score"
    ),
    "sklearn.metrics._dist_metrics": (
        "BrayCurtisDistance64 CanberraDistance64 ChebyshevDistance64 DiceDistance64"
        " EuclideanDistance64 HammingDistance64 HaversineDistance64 JaccardDistance64"
        " MahalanobisDistance64 ManhattanDistance64 MinkowskiDistance64 RogersTanimotoDistance64"
        " RussellRaoDistance64 SEuclideanDistance64 SokalSneathDistance64"
    ),
    "sklearn.metrics._ranking": "average_precision_score roc_auc_score",
    "sklearn.metrics._regression": (
        "max_error mean_absolute_error mean_squared_error median_absolute_error r2_score"
        " root_mean_squared_error"
    ),
    "sklearn.metrics._scorer": "_CurveScorer _PassthroughScorer _Scorer",
    "sklearn.model_selection._split": (
        "GroupKFold KFold LeaveOneOut RepeatedKFold RepeatedStratifiedKFold ShuffleSplit"
        " StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit"
    ),
    "sklearn.multiclass": "_ConstantPredictor",
    "sklearn.neighbors._ball_tree": "BallTree",
    "sklearn.neighbors._kd_tree": "KDTree",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.tree._tree": "Tree",
    "sklearn.utils._bunch": "Bunch",
    "sklearn.utils._metadata_requests": "MetadataRequest MethodMetadataRequest",
    "sklearn.utils.validation": "check_array",
}

ALLOWED_TYPES = frozenset(
    f"{module}.{name}" for module, names in _BY_MODULE.items() for name in names.split()
)
