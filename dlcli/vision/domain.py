"""Pictures, as the core sees a domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.domain import Fitted
from dlcli.core.progress import Progress
from dlcli.core.record import RunRecord
from dlcli.errors import UsageError
from dlcli.vision import models
from dlcli.vision.augmentation.config import AugmentationConfig, MixingConfig
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.inputs import AugmentedInputs, RowInputs
from dlcli.vision.model_config import ImageModelConfig
from dlcli.vision.pipeline import PicturePipeline


def load_pipeline(folder: Path) -> PicturePipeline:
    """Load the pipeline of a finished run; `serving.Predictor` looks for it here."""
    return PicturePipeline.load(folder)


def variants(record: RunRecord, count: int) -> Callable[[RowInputs], Iterator[RowInputs]]:
    """Return what draws pictures anew for test-time augmentation, as the run's training did.

    Args:
        record: of the run.
        count: how often each picture is answered, itself the first.

    Raises:
        UsageError: the run was trained without augmentation.
    """
    augmentation = AugmentationConfig(**{name: record.config[name] for name in AugmentationConfig.model_fields})
    if not augmentation.active:
        raise UsageError(
            "--tta draws as the training did, and that had no augmentation", hint="Train with --augment light"
        )

    def drawn(inputs: RowInputs) -> Iterator[RowInputs]:
        for draw in range(1, count):
            some = AugmentedInputs(inputs.rows, augmentation, MixingConfig(), seed=record.seed)
            some.begin_epoch(draw)
            yield some

    return drawn


class PictureDomain:
    """Pictures: paths of files in, pixels to the model.

    Args:
        pipeline: how a file becomes pixels; size and channels are known.
        model: which model is built for them.
        augmentation: how training pictures are changed at random.
        mixing: how those of a batch are mixed.
        cache: where decoded pictures are kept, as `--cache` says it.
        seed: of every random draw.
        output: what the model ends in: `softmax`, or `linear` for scores.
    """

    def __init__(
        self,
        pipeline: ImagePipelineConfig,
        model: ImageModelConfig,
        *,
        augmentation: AugmentationConfig,
        mixing: MixingConfig,
        cache: str,
        seed: int,
        output: str = "softmax",
    ) -> None:
        self.pipeline = pipeline
        self.model = model
        self.augmentation = augmentation
        self.mixing = mixing
        self.cache = cache
        self.seed = seed
        self.output = output

    def fit(self, items: Sequence[str], labels: np.ndarray[Any, Any], classes: int, progress: Progress) -> Fitted:
        """Decode the training pictures and build the model for them."""
        pipeline = PicturePipeline(self.pipeline)
        inputs = self._inputs(pipeline, items, progress)
        height, width, channels = pipeline.shape
        model = models.build(
            self.model,
            height=height,
            width=width,
            channels=channels,
            classes=classes,
            seed=self.seed,
            output=self.output,
        )
        return Fitted(pipeline=pipeline, model=model, inputs=inputs, labels=labels)

    def adopt(
        self,
        pipeline: PicturePipeline,
        model: Any,
        items: Sequence[str],
        labels: np.ndarray[Any, Any],
        progress: Progress,
    ) -> Fitted:
        """Return the training pictures as another run's pipeline decodes them."""
        inputs = self._inputs(pipeline, items, progress)
        return Fitted(pipeline=pipeline, model=model, inputs=inputs, labels=labels)

    def _inputs(self, pipeline: PicturePipeline, items: Sequence[str], progress: Progress) -> RowInputs:
        pipeline.place = self.cache
        return decoded(pipeline, items, self.augmentation, self.mixing, seed=self.seed, progress=progress)


def decoded(
    pipeline: PicturePipeline,
    items: Sequence[str],
    augmentation: AugmentationConfig,
    mixing: MixingConfig,
    *,
    seed: int,
    progress: Progress,
) -> RowInputs:
    """Return training pictures as a pipeline decodes them, changed at random where that is asked for."""
    progress.begin(f"decoding {len(items):,} pictures", len(items))
    pixels = pipeline.pixels(items, progress)
    if augmentation.active or mixing.mixes:
        return AugmentedInputs(pixels, augmentation, mixing, seed=seed)
    return RowInputs(pixels)
