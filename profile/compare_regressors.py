"""Regressors of Table 5 (scikit-learn): one line of JSON in, one line out. Compiled into the program by CMake.

In:  {"seed": 1, "ops": {"conv2d": {"train_x": [[...]], "train_y": [...], "test_x": [[...]]}}}
Out: {"ops": {"conv2d": {"SVR": [...], "DT": [...], ...}}} with a prediction for each row of test_x, or {"error": "..."}.
Each gets what is good for it: logarithms of sizes and times, scaled columns, a small grid searched by cross-validation.
"""
import json
import os
import sys
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
request = json.loads(sys.stdin.readline())
try:
    import numpy as np
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR
    from sklearn.tree import DecisionTreeRegressor
except ImportError as error:
    print(json.dumps({"error": f"python3 cannot load scikit-learn ({error})"}), flush=True)
    sys.exit(0)

warnings.filterwarnings("ignore")
SEED = request["seed"]


def scaled(model, **grid):
    """Columns and target of mean 0 and deviation 1."""
    pipeline = TransformedTargetRegressor(make_pipeline(StandardScaler(), model), transformer=StandardScaler())
    step = type(model).__name__.lower()
    return pipeline, {f"regressor__{step}__{key}": values for key, values in grid.items()}


REGRESSORS = {
    "SVR": scaled(SVR(kernel="rbf"), C=[1, 10, 100, 1000], gamma=[0.003, 0.01, 0.03, 0.1], epsilon=[0.01]),
    "DT": (DecisionTreeRegressor(random_state=SEED), {"min_samples_leaf": [1, 2, 4, 8]}),
    "RF": (RandomForestRegressor(300, random_state=SEED), {"max_features": [0.33, 0.66, 1.0]}),
    "GBRT": (GradientBoostingRegressor(n_estimators=800, learning_rate=0.05, subsample=0.7, random_state=SEED),
             {"max_depth": [3, 4, 6]}),
    # Four layers of weights.
    "DNN": scaled(MLPRegressor((64, 64, 64), solver="adam", max_iter=1500, learning_rate_init=3e-3, n_iter_no_change=60,
                               tol=1e-5, random_state=SEED), alpha=[1e-4, 1e-2]),
}

answer = {}
for op, data in request["ops"].items():
    train_x, test_x = (np.array(data[key], dtype=float) for key in ("train_x", "test_x"))
    train_x, test_x = (np.hstack([x, np.log1p(x)]) for x in (train_x, test_x))
    train_y = np.log(np.array(data["train_y"], dtype=float))
    answer[op] = {}
    for name, (model, grid) in REGRESSORS.items():
        folds = KFold(3, shuffle=True, random_state=SEED)
        search = GridSearchCV(model, grid, scoring="neg_mean_absolute_error", cv=folds)
        answer[op][name] = [float(t) for t in np.exp(search.fit(train_x, train_y).predict(test_x))]
        print(f"compared: {op}, {name}", file=sys.stderr, flush=True)
print(json.dumps({"ops": answer}), flush=True)
