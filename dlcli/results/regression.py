"""Logistic regression, by scikit-learn, as a baseline: fitted on a sample, kept in a run as arrays."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dlcli.core.dataset import IntArray
from dlcli.core.files import replacing
from dlcli.core.record import RunRecord
from dlcli.errors import SurroundingsError, from_os_error

FOLDER = "baselines"


class Regression(NamedTuple):
    """A fitted model.

    Attributes:
        weights: float (classes, features); (1, features) for two classes.
        intercept: float (classes,), or (1,).
    """

    weights: npt.NDArray[np.float64]
    intercept: npt.NDArray[np.float64]

    @staticmethod
    def learn(features: Any, labels: IntArray) -> Regression:
        """Fit on features, (n, features), dense or sparse, and label ids, int (n,)."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():
            # A baseline that is not quite at its optimum is one too.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = LogisticRegression(max_iter=200).fit(features, labels)
        return Regression(fitted.coef_, fitted.intercept_)

    def probabilities(self, features: Any) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes, float (n, classes)."""
        scores = np.asarray(features @ self.weights.T) + self.intercept
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        found: npt.NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return found


def sample(labels: IntArray, most: int, *, seed: int) -> IntArray:
    """Return the rows to fit on, ascending: all, or a seeded sample of `most` and an item of each class."""
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.random.Generator(np.random.Philox(key=[seed, 0])).permutation(len(labels))
    first = np.unique(labels[order], return_index=True)[1]
    return np.union1d(order[:most], order[first])


def load(run: Path, record: RunRecord, name: str) -> dict[str, Any] | None:
    """Return the arrays of a baseline that is kept in a run.

    Args:
        run: its directory.
        record: its `run.json`.
        name: of the baseline.

    Returns:
        what `save` was given; None when it is not there, damaged, or of other data or versions.
    """
    try:
        with np.load(run / FOLDER / f"{name}.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
            return arrays if json.loads(arrays.pop("about").tobytes()) == _about(record) else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def save(run: Path, record: RunRecord, name: str, arrays: dict[str, Any]) -> str:
    """Keep the arrays of a baseline in a run; return why that was not possible."""
    file = run / FOLDER / f"{name}.npz"
    try:
        file.parent.mkdir(exist_ok=True)
        with replacing(file) as temporary:
            np.savez(temporary, about=np.frombuffer(json.dumps(_about(record)).encode(), np.uint8), **arrays)
    except (OSError, SurroundingsError) as error:
        return (from_os_error(error, file) if isinstance(error, OSError) else error).message
    return ""


def _about(record: RunRecord) -> dict[str, Any]:
    """Return what must be the same for a kept model to be the run's."""
    import sklearn

    return {
        "format": 3,
        "data": record.data.get("fingerprint"),
        "labels": record.labels,
        "scikit-learn": sklearn.__version__,
    }
