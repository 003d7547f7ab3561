"""Several finished runs side by side: in which settings they differ, and which differences in score are no chance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlcli.core.record import RunRecord
from dlcli.errors import UsageError
from dlcli.results import paired
from dlcli.results.threshold import validation_outputs

Right = npt.NDArray[np.bool_]
# A difference with a smaller p-value counts as significant.
_LEVEL = 0.05


def differing(records: Mapping[str, RunRecord]) -> dict[str, dict[str, Any]]:
    """Return the settings in which runs differ: for each the value of each run, None where a run does not have it.

    That an ensemble has none of the settings of a training is no difference.
    """
    settings = {name: {**record.config, **_of_the_data(record)} for name, record in records.items()}
    every = dict.fromkeys(setting for config in settings.values() for setting in config)
    found = {setting: {name: config.get(setting) for name, config in settings.items()} for setting in every}
    trained = [name for name, record in records.items() if record.resumable]

    def differs(setting: str, values: dict[str, Any]) -> bool:
        counted = [name for name in values if name in trained or setting in settings[name]]
        return len({json.dumps(values[name]) for name in counted}) > 1

    return {setting: values for setting, values in found.items() if differs(setting, values)}


def _of_the_data(record: RunRecord) -> dict[str, Any]:
    """Return what tells data apart that is read from the same place."""
    return {
        "training items": record.data.get("training"),
        "data fingerprint": str(record.data.get("fingerprint", ""))[:8],
    }


def validation_answers(runs: Mapping[str, tuple[Path, RunRecord]], best: str) -> tuple[dict[str, Right], list[str]]:
    """Return which validation items each run has right, for the runs that validate on the same items as the best.

    Args:
        runs: directory and record, by name.
        best: the name of one of them.

    Returns:
        bool (n,) by name, with that of the best first; and the names of the runs that validate on other items.
    """
    found: dict[str, Right] = {}
    others = []
    expected: npt.NDArray[np.int64] | None = None
    for name in [best, *(name for name in runs if name != best)]:
        path, record = runs[name]
        try:
            labels, outputs = validation_outputs(path)
        except UsageError:
            others.append(name)
            continue
        if expected is None:
            expected = labels
        if validated_on(record) != validated_on(runs[best][1]) or not np.array_equal(labels, expected):
            others.append(name)
        else:
            found[name] = outputs.argmax(axis=1) == labels
    return found, others


def validated_on(record: RunRecord) -> list[Any]:
    """Return what decides which items a run validates on; the seed counts where they are split off."""
    config = record.config
    split = [config["val"]] if config.get("val") else [config.get("val_split"), config.get("seed")]
    return [record.data.get("fingerprint"), record.data.get("validation"), record.labels, *split]


def against_the_best(right: Mapping[str, Right], *, resamples: int, seed: int) -> list[dict[str, Any]]:
    """Compare each run with the most accurate one, on the same items.

    Args:
        right: bool (n,) by name, which items each has right; of equally accurate ones the first is the best.
        resamples: of the intervals of the differences; 0 for none.
        seed: of the resamples.

    Returns:
        for each other run its name, that of the best, the difference with its interval, McNemar's p, that p with
        Holm's correction for their number, and whether it is under 0.05.
    """
    best = max(right, key=lambda name: float(right[name].mean()))
    others = [name for name in right if name != best]
    found = [paired.compare(right[name], right[best], resamples=resamples, seed=seed) for name in others]
    corrected = paired.holm([one.p for one in found])
    return [
        {"name": name, "against": best} | one.as_json() | {"p_holm": p, "significant": p < _LEVEL}
        for name, one, p in zip(others, found, corrected, strict=True)
    ]
