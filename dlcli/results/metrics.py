"""Scores of a classifier, by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import metrics


def scores(labels: np.ndarray[Any, Any], probabilities: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return accuracy, mean cross entropy and macro F1.

    Args:
        labels: int (n,), the true class of each item.
        probabilities: float (n, classes), rows that sum to 1.

    Returns:
        `accuracy` and `f1_macro` between 0 and 1; `loss` in nats.
    """
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    # float32 rows sum to 1 only within rounding, which scikit-learn remarks on.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return {
        "accuracy": float(metrics.accuracy_score(labels, predicted)),
        "loss": float(metrics.log_loss(labels, exact, labels=classes)),
        "f1_macro": float(metrics.f1_score(labels, predicted, labels=classes, average="macro", zero_division=0)),
    }


def per_class(labels: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], names: list[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and the number of items of each class, in the order of `names`."""
    columns = metrics.precision_recall_fscore_support(labels, predicted, labels=np.arange(len(names)), zero_division=0)
    return [
        {"label": name, "precision": float(p), "recall": float(r), "f1": float(f), "n": int(n)}
        for name, p, r, f, n in zip(names, *columns, strict=True)
    ]


def confusion(labels: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any], classes: int) -> list[list[int]]:
    """Return how often each true class (row) was predicted as each class (column)."""
    matrix: list[list[int]] = metrics.confusion_matrix(labels, predicted, labels=np.arange(classes)).tolist()
    return matrix
