"""The base that a user chose: what is known of it before TensorFlow starts, and its model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcli.core.keras_files import read_config
from dlcli.core.progress import Progress
from dlcli.core.record import MODEL, RECORD, open_finished
from dlcli.core.transfer import FetchError
from dlcli.errors import ModelError, UsageError
from dlcli.vision import bases
from dlcli.vision.bases import Base
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.finetune_config import BaseConfig, is_path

# A base of nobody's registry: most of keras.applications take pixels from -1 to 1.
_USUAL_PREPROCESSING = "tf"


@dataclass(frozen=True, kw_only=True)
class BaseChoice:
    """A base as far as it is known without its model.

    Attributes:
        name: as it was given.
        entry: of the registry, or that of the family which a file was recognised as.
        model: the `.keras` file that holds it; None where `entry` is built by keras.applications.
        size: height and width that it is made for.
        fixed: whether pictures get that size, be they smaller or not.
        channels: 1 or 3.
        preprocessing: how bytes become what it takes; see `BaseConfig`.
        guessed: whether nothing says so.
        stranger: whether the file is from anywhere, and not out of a run or the registry.
    """

    name: str
    entry: Base | None = None
    model: Path | None = None
    size: tuple[int, int] | None = None
    fixed: bool = False
    channels: int = 3
    preprocessing: str = _USUAL_PREPROCESSING
    guessed: bool = False
    stranger: bool = False
    blocks: dict[str, str] = field(default_factory=dict)

    @property
    def auto(self) -> Any:
        """What `--precision auto` turns on (`devices.Auto`): bfloat16 where the processor multiplies such numbers.

        Large convolutions gain (VGG16 2.2 times with AVX-512, four times with AMX), depthwise ones lose, so it is a
        fact of each base in the registry; docs/transfer-learning.md has the measurements.
        """
        from dlcli.core.devices import Auto

        gains = self.entry is not None and self.entry.bfloat16
        return Auto(bfloat16=("cpu", "gpu") if gains else ("gpu",), features=("amx_bf16", "avx512_bf16"))


def choose(config: BaseConfig) -> BaseChoice:
    """Look at the base that a user chose, without TensorFlow.

    Raises:
        UsageError: there is none of that name, or no such file.
        ModelError: the file is no model, or the run is damaged.
    """
    found = _of_path(Path(config.base), config.base) if is_path(config.base) else _of_registry(config.base)
    if found.model is not None and config.weights not in ("imagenet", "none"):
        raise UsageError(
            f"--weights {config.weights} goes with a base that keras.applications builds, and {config.base} is a model",
            hint="Leave it out",
        )
    if config.preprocessing is None:
        return found
    return dataclasses.replace(found, preprocessing=config.preprocessing, guessed=False)


def _of_registry(name: str) -> BaseChoice:
    entry = bases.find(name)
    size = (entry.default_size, entry.default_size)
    about: dict[str, Any] = {"entry": entry, "preprocessing": entry.preprocessing, "blocks": dict(entry.blocks)}
    return BaseChoice(name=name, model=entry.path if entry.file else None, size=size, **about)


def _of_path(path: Path, name: str) -> BaseChoice:
    if not path.exists():
        raise UsageError(f"--base: {path} does not exist", hint="dlcli pretrained lists the bases that have names")
    if path.is_dir() and (path / RECORD).exists():
        return _of_run(path, name)
    return _of_file(path, name)


def _of_run(path: Path, name: str) -> BaseChoice:
    record = open_finished(path)
    if record.domain != "vision" or not record.resumable:
        raise UsageError(f"--base: {path} is a run of {record.verb}", hint="Expected one that was trained on pictures")
    pictures = ImagePipelineConfig(**{key: record.config[key] for key in ImagePipelineConfig.model_fields})
    return BaseChoice(
        name=name,
        model=path / MODEL,
        size=pictures.image_size,
        fixed=True,
        channels=pictures.channels,
        preprocessing="none",
    )


def _of_file(path: Path, name: str) -> BaseChoice:
    """Read what a `.keras` file says of its layers; its weights stay where they are."""
    try:
        layers = read_config(path)["config"]["layers"]
        names = [layer["config"].get("name", "") for layer in layers]
        _, height, width, channels = next(
            layer["config"]["batch_shape"] for layer in layers if "batch_shape" in layer["config"]
        )
    except (ValueError, KeyError, TypeError, StopIteration, AttributeError):
        raise ModelError(
            f"--base: {path} is no model of pictures that Keras has saved as .keras, or it is damaged",
            hint="Expected one input (height, width, channels), saved with model.save('base.keras')",
        ) from None
    entry = bases.recognised(names)
    scaled = any(layer.get("class_name") in ("Rescaling", "Normalization") for layer in layers[:3])
    return BaseChoice(
        name=name,
        entry=entry,
        model=path,
        size=(height, width) if height and width else None,
        fixed=True,
        channels=channels,
        preprocessing=entry.preprocessing if entry else "none" if scaled else _USUAL_PREPROCESSING,
        guessed=entry is None and not scaled,
        stranger=True,
        blocks={block: first for block, first in entry.blocks.items() if first in names} if entry else {},
    )


def load(choice: BaseChoice, config: BaseConfig, *, size: tuple[int, int], seed: int, progress: Progress) -> Any:
    """Return the model of a base: pixels, preprocessed as it asks for, in; feature maps out.

    Args:
        choice: which.
        config: `weights` counts.
        size: height and width of the pictures that it will see.
        seed: of random weights.
        progress: told of a download.

    Raises:
        UsageError: the pictures are too small for it.
        ModelError: the file is damaged, or holds code.
        SurroundingsError: its weights are not on this machine, and cannot be had.
    """
    from dlcli.core.backend import keras

    if choice.guessed:
        progress.warn(
            f"nothing says which numbers {choice.name} takes: it is given pixels from -1 to 1 (--preprocessing)"
        )
    keras.utils.set_random_seed(seed)
    if choice.model is not None:
        return _of_model(choice.model, stranger=choice.stranger, random=config.weights == "none")
    from dlcli.vision import architectures, weights

    assert choice.entry is not None, "a base is a file or an entry"
    path = None
    if config.weights == "imagenet":
        try:
            path = weights.obtain(choice.entry, progress=progress)
        except FetchError as error:
            error.hint = f"{error.hint}. --base shipped needs no network"
            raise
    elif config.weights != "none":
        path = Path(config.weights)
    return architectures.build(choice.entry, height=size[0], width=size[1], weights=path)


def _of_model(path: Path, *, stranger: bool, random: bool) -> Any:
    from dlcli.core import keras_files
    from dlcli.core.backend import keras
    from dlcli.vision.own_models import without_head

    model = without_head(keras_files.load(path, stranger=stranger))
    policy = keras.config.dtype_policy().name

    def in_that_precision(layer: Any) -> Any:
        settings = layer.get_config()
        if "dtype" in settings and not isinstance(layer, keras.layers.InputLayer):
            settings["dtype"] = policy
        return type(layer).from_config(settings)

    copy = keras.models.clone_model(model, clone_function=in_that_precision)
    if not random:
        copy.set_weights(model.get_weights())
    return copy
