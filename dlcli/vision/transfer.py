"""Transfer learning, as the core sees a domain: a head, and what of its base is trained; the rest is computed once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dlcli.core.backend import keras
from dlcli.core.domain import Fitted
from dlcli.core.layers import HEAD, head, hidden
from dlcli.core.progress import Progress
from dlcli.core.weights import hash_of_weights
from dlcli.errors import UsageError
from dlcli.vision import base_choice, networks
from dlcli.vision.augmentation.config import AugmentationConfig, MixingConfig
from dlcli.vision.base_choice import BaseChoice
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.domain import decoded
from dlcli.vision.features import Draw, FeaturesAnew, FrozenPart, KeptFeatures, draws
from dlcli.vision.finetune_config import BaseConfig, FreezingConfig, HeadConfig
from dlcli.vision.inputs import RowInputs
from dlcli.vision.networks import FEATURES
from dlcli.vision.pipeline import PicturePipeline

layers = keras.layers

# Changed copies of each picture whose features are kept, where nobody says how many.
_COPIES = 4
# Names of layers before the base and on top of it.
_TAKEN = (*networks.BEFORE_BASE, FEATURES, HEAD)


class TransferDomain:
    """Pictures, on a network whose lower part was trained on others.

    Args:
        choice: the base.
        base: which weights it has.
        head: what stands on top of it.
        freezing: what of it is trained.
        pipeline: how a file becomes pixels; size and channels are known.
        augmentation: how training pictures are changed at random.
        seed: of every random draw.
        output: what the model ends in: `softmax`, or `linear` for scores.
    """

    def __init__(
        self,
        choice: BaseChoice,
        *,
        base: BaseConfig,
        head: HeadConfig,
        freezing: FreezingConfig,
        pipeline: ImagePipelineConfig,
        augmentation: AugmentationConfig,
        seed: int,
        output: str,
    ) -> None:
        self.choice = choice
        self.base = base
        self.head = head
        self.freezing = freezing
        self.pipeline = pipeline
        self.augmentation = augmentation
        self.seed = seed
        self.output = output

    def fit(self, items: Sequence[str], labels: np.ndarray[Any, Any], classes: int, progress: Progress) -> Fitted:
        """Load the base, put a head on it, and find out what of the training pictures can be computed once."""
        assert self.pipeline.image_size is not None, "resolved when the data was read"
        progress.begin(f"loading the base {self.choice.name}")
        height, width = (side * self.base.upsample for side in self.pipeline.image_size)
        base = base_choice.load(self.choice, self.base, size=(height, width), seed=self.seed, progress=progress)
        fitted = self.adopt(PicturePipeline(self.pipeline), self._on_top(base, classes), items, labels, progress)
        fitted.origin = {"base": hash_of_weights(base)}
        return fitted

    def adopt(
        self,
        pipeline: PicturePipeline,
        model: Any,
        items: Sequence[str],
        labels: np.ndarray[Any, Any],
        progress: Progress,
    ) -> Fitted:
        """Freeze a finetuned network as it is asked for, and cut it where its frozen part ends."""
        start = self.freezing.trained_from
        first = networks.first_trained(model, start, self.choice.blocks) if start else None
        networks.freeze(model, first, norms=self.base.weights == "none")
        layer_lr = networks.block_factors(model, self.choice.blocks, self.freezing.lower_lr)
        parts = networks.cut(model)
        if parts is None:
            inputs = self._pixels(pipeline, items, progress)
            return Fitted(pipeline=pipeline, model=model, inputs=inputs, labels=labels, layer_lr=layer_lr)
        frozen, trained = parts
        part = FrozenPart(frozen, pipeline.config)
        inputs, encoder, made = self._features(part, pipeline, items, progress)

        def prepare(told: Progress) -> None:
            for rows in made:
                rows.fill(told)

        def pretend(told: Progress) -> None:
            if seconds := sum(rows.pretend() for rows in made):
                told.note(f"the frozen part takes about {seconds:.0f} s, once")

        return Fitted(
            pipeline=pipeline,
            model=trained,
            inputs=inputs,
            labels=np.tile(labels, len(inputs) // len(labels)),
            encoder=encoder,
            whole=model,
            layer_lr=layer_lr,
            prepare=prepare,
            pretend=pretend,
        )

    def _on_top(self, base: keras.Model, classes: int) -> keras.Model:
        """Build the network from the bytes of pixels to the classes; the head computes in float32."""
        pixels, maps = on_pixels(base, self.choice, self.pipeline, upsample=self.base.upsample)
        config = self.head.resolved_head()
        with _float32():
            rows = _as_rows(maps, flatten=config.head == "flatten-dense")
            rows = hidden(rows, config.hidden_units, config, seed=self.seed)
            outputs = head(rows, classes, config, activation=self.output, seed=self.seed)
        return networks.separate(keras.Model(pixels, outputs, name="finetuned"))

    def _pixels(self, pipeline: PicturePipeline, items: Sequence[str], progress: Progress) -> RowInputs:
        pipeline.place = "auto"
        return decoded(pipeline, items, self.augmentation, MixingConfig(), seed=self.seed, progress=progress)

    def _features(
        self, part: FrozenPart, pipeline: PicturePipeline, items: Sequence[str], progress: Progress
    ) -> tuple[RowInputs, Callable[[Sequence[str]], RowInputs], list[KeptFeatures]]:
        """Return the training inputs of what is above a frozen part, what encodes others, and all that is kept."""
        made: list[KeptFeatures] = []

        def kept(some: Sequence[str], drawn: list[Draw]) -> RowInputs:
            made.append(KeptFeatures(part, some, drawn))
            return RowInputs(made[-1])

        def encode(others: Sequence[str]) -> RowInputs:
            none = self.freezing.cache == "none"
            return FeaturesAnew(pipeline.encode(others), part) if none else kept(others, [Draw()])

        if self.freezing.cache == "none" or (self.augmentation.active and self.freezing.augment_online):
            progress.note("the frozen part computes each epoch anew")
            return FeaturesAnew(self._pixels(pipeline, items, progress), part), encode, made
        copies = (self.freezing.augment_copies or _COPIES) if self.augmentation.active else 0
        if copies:
            progress.note(f"each epoch takes each picture and {copies} changed copies, the same in all epochs")
        return kept(items, draws(self.augmentation.strengths(), copies, seed=self.seed)), encode, made


def on_pixels(
    base: keras.Model, choice: BaseChoice, pipeline: ImagePipelineConfig, *, upsample: int = 1
) -> tuple[Any, Any]:
    """Lay a base on the bytes of pixels.

    Args:
        base: its model.
        choice: says how it is preprocessed for.
        pipeline: size and channels are known.
        upsample: how many times pictures are enlarged first.

    Returns:
        the input, uint8 (batch, height, width, channels), and the base's output.

    Raises:
        UsageError: the base does not take pictures of that size.
    """
    assert pipeline.image_size is not None, "resolved when the data was read"
    pixels = keras.Input((*pipeline.image_size, pipeline.channels), dtype="uint8", name="pixels")
    _rename(base)
    with _float32():
        maps = networks.preprocess(pixels, choice.preprocessing)
        if upsample > 1:
            maps = layers.UpSampling2D(upsample, interpolation="bilinear", name="upsample")(maps)
    try:
        return pixels, networks.attach(base, maps)
    except ValueError as error:
        shown = "x".join(map(str, maps.shape[1:]))
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"--base: {choice.name} does not take pictures of {shown} ({reason})",
            hint="Name another --image-size, or --color",
        ) from None


def pooled(base: keras.Model, choice: BaseChoice, pipeline: ImagePipelineConfig, pooling: str) -> FrozenPart:
    """Return what makes features of pictures: a base, all of it frozen, and a pooling of its maps.

    Args:
        base: its model.
        choice: says how it is preprocessed for.
        pipeline: size and channels are known.
        pooling: `avg` or `max` of each map, or `none`.
    """
    pixels, maps = on_pixels(base, choice, pipeline)
    if len(maps.shape) == 4 and pooling != "none":
        with _float32():
            maps = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}[pooling](name=FEATURES)(
                maps
            )
    model = networks.separate(keras.Model(pixels, maps))
    model.trainable = False
    return FrozenPart(model, pipeline)


def _as_rows(maps: Any, *, flatten: bool) -> Any:
    """Turn feature maps into a row; a base that ends in one is taken as it is."""
    if len(maps.shape) == 2:
        return layers.Identity(name=FEATURES)(maps)
    return (layers.Flatten if flatten else layers.GlobalAveragePooling2D)(name=FEATURES)(maps)


def _rename(base: keras.Model) -> None:
    """Give layers of a base other names where those of the head, and of what is before the base, are taken."""
    for layer in base.layers:
        if layer.name in _TAKEN or layer.name.startswith("hidden_"):
            layer.name = f"base_{layer.name}"


@contextlib.contextmanager
def _float32() -> Iterator[None]:
    """Let layers that are built in the block compute in float32, whatever the base computes in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
