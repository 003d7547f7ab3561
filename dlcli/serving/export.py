"""Exports: artefacts that need no dlcli, whole and verified, or not at all."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import tf
from dlcli.errors import UsageError
from dlcli.serving import preprocessing, runner
from dlcli.serving.artefacts import Artefact
from dlcli.serving.card import FILES, QUANTIZED, Card, Tensor
from dlcli.serving.formats import conversion, keras_file, litert, onnx, savedmodel
from dlcli.serving.formats.quantization import require_quantizable
from dlcli.serving.predictor import Predictor
from dlcli.serving.verify import Verified, verify

RUNNER = "runner.py"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written: its card, its bytes, and how it answers."""

    card: Card
    size: int
    verified: Verified | None = None
    accuracy: dict[str, float] | None = None


def write(
    predictor: Predictor,
    folder: Path,
    *,
    format: str,
    quantize: str = "none",
    samples: Sequence[str] = (),
) -> Card:
    """Write an artefact into a folder that is not there yet.

    Args:
        predictor: the run.
        folder: where.
        format: one of `FILES`.
        quantize: `none`, `dynamic`, `float16` or `int8`; litert and onnx alone can be quantised.
        samples: raw training items, for `int8`.

    Returns:
        its card, which is written as `model.json`.

    Raises:
        UsageError: the format, or the model in it, cannot be quantised so.
        ModelError: a converter gave up.
    """
    folder.mkdir()
    outputs = "probabilities" if predictor.probabilistic else "scores"
    inputs, output = _write_model(predictor, folder, format, quantize, outputs, samples)
    if format == "savedmodel":
        settings = preprocessing.describe(predictor.pipeline)
    else:
        settings = preprocessing.write(predictor.pipeline, folder)
        shutil.copyfile(runner.__file__, folder / RUNNER)
    record = predictor.record
    card = Card.model_validate(
        {
            "made_by": f"dlcli {record.machine['versions']['dlcli']}",
            "format": format,
            "quantize": quantize,
            "file": FILES[format],
            "domain": record.domain,
            "labels": predictor.labels,
            "outputs": outputs,
            "inputs": inputs,
            "output": output,
            "preprocessing": settings,
            "run": {
                "verb": record.verb,
                "model": record.model,
                "data": record.data,
                "validation": record.scores,
                "hashes": record.hashes,
            },
        }
    )
    card.write(folder)
    return card


def _write_model(
    predictor: Predictor, folder: Path, format: str, quantize: str, outputs: str, samples: Sequence[str]
) -> tuple[list[Tensor], str]:
    if format not in QUANTIZED and quantize != "none":
        raise UsageError(
            f"--quantize {quantize} does not go with --format {format}, which keeps the run's weights",
            hint=f"Take --format {' or '.join(QUANTIZED)}",
        )
    if format == "savedmodel":
        return savedmodel.write(predictor, folder, outputs=outputs)
    if format == "keras":
        return keras_file.write(predictor, folder)
    require_quantizable(predictor.model, format=format, quantize=quantize)
    convert = litert.write if format == "litert" else onnx.write
    model = conversion.in_float32(predictor.model)
    given = list(_arrays(predictor, samples)) if quantize == "int8" else []
    return convert(model, folder / FILES[format], outputs=outputs, quantize=quantize, samples=given)


def _arrays(predictor: Predictor, items: Sequence[str]) -> Iterator[list[np.ndarray[Any, Any]]]:
    """Yield the model's inputs for each item."""
    for raw in predictor.pipeline.raw(items):
        yield [tensor.numpy() for tensor in tf.nest.flatten(predictor.pipeline.graph(tf.constant([raw])))]


def check(
    predictor: Predictor,
    folder: Path,
    card: Card,
    *,
    items: Sequence[str],
    labelled: tuple[Sequence[str], np.ndarray[Any, Any]] | None = None,
) -> Exported:
    """Verify an artefact that was just written, and say so in its card.

    Args:
        predictor: the run.
        folder: of the artefact.
        card: its own.
        items: raw items to run through both; none for no verification.
        labelled: items and their label ids: the accuracy of both is measured on them.

    Raises:
        ModelError: it does not answer as the run.
    """
    verified = verify(predictor, folder, items) if items else None
    accuracy = _accuracy(predictor, folder, *labelled) if labelled else None
    if verified:
        card.verified = dataclasses.asdict(verified) | ({"accuracy": accuracy} if accuracy else {})
        card.write(folder)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Exported(card=card, size=size, verified=verified, accuracy=accuracy)


def _accuracy(
    predictor: Predictor, folder: Path, items: Sequence[str], labels: np.ndarray[Any, Any]
) -> dict[str, float]:
    artefact, together = Artefact.open(folder), predictor.pipeline.together
    parts = [items[start : start + together] for start in range(0, len(items), together)]
    own, exported = (
        np.concatenate([some.argmax(axis=1) for some in answers])
        for answers in (
            map(predictor.outputs, parts),
            (artefact.outputs(predictor.pipeline.raw(part)) for part in parts),
        )
    )
    return {
        "items": len(items),
        "run": float((own == labels).mean()),
        "export": float((exported == labels).mean()),
        "same_answers": float((own == exported).mean()),
    }
