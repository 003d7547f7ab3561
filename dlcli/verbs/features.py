"""`dlcli features`: what a pretrained base makes of pictures, as an array for scikit-learn and friends."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from dlcli.core.config import option
from dlcli.core.lines import strict
from dlcli.core.progress import Progress
from dlcli.errors import DataError
from dlcli.resources import resolve_input
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts
from dlcli.vision.config import ImageDataConfig, ImagePipelineConfig
from dlcli.vision.finetune_config import BaseConfig, BasePicturesConfig


class FeaturesConfig(BaseConfig, BasePicturesConfig, ImageDataConfig):
    """All settings of a computing of features."""

    section = "Data"

    data: Path = option(
        ...,
        "A folder with a folder of pictures for each class, a table of paths and labels, an .npz or IDX archive; or "
        "data:NAME. With --no-labels any folder of pictures.",
        argument=True,
        metavar="DATA",
    )
    out: Path = option(..., "The .npz file to write.", argument=True, metavar="OUT")
    labels: bool = option(True, "Read the labels and write them too.")
    force: bool = option(False, "Replace the file at OUT.")
    pooling: Literal["avg", "max", "none"] = option(
        "avg", "What is kept of each feature map: its mean, its largest number, or all of it.", metavar="avg|max|none"
    )
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "Numbers to compute with. auto is a rule on processor and base."
    )
    device: str = option("auto", "Where to compute; as for finetune.", metavar="DEVICE")


class FeaturesResult(Result):
    """What was written.

    Attributes:
        shape: of the array: a row a picture.
        classes: how many there are; None without labels.
    """

    data: Path
    out: Path
    base: str
    image_size: tuple[int, int]
    shape: tuple[int, ...]
    classes: int | None
    precision: str

    def text(self) -> str:
        """Return what was written, and the lines of Python that open it."""
        rows = [
            ("pictures", f"{self.shape[0]:,}" + (f" of {self.classes:,} classes" if self.classes else "")),
            ("base", f"{self.base}, pictures of {'x'.join(map(str, self.image_size))}, {self.precision}"),
            ("features", "x".join(map(str, self.shape))),
            ("out", str(self.out)),
        ]
        opening = [f'    z = numpy.load("{self.out}")', '    x, files = z["features"], z["files"]']
        if self.classes is not None:
            opening[-1] = '    x, y, files = z["features"], z["labels"], z["files"]'
        return "\n\n".join([facts(rows), "In Python:", "\n".join(opening)])


def features(config: FeaturesConfig, progress: Progress) -> FeaturesResult:
    """Write the features of pictures: `features`, float32 (pictures, ...), `files` and, with labels, `labels`.

    Args:
        config: the settings.
        progress: told of stages and pictures.

    Returns:
        what was written.

    Raises:
        DataError: bad pictures, with their names.
    """
    from dlcli.core.files import replacing, require_free_file
    from dlcli.vision import base_choice

    read = [resolve_input(config.data)]
    require_free_file(config.out, option="OUT", endings=(".npz",), force=config.force, read=read)
    base = config.take(BaseConfig)
    choice = base_choice.choose(base)
    items, labels = _read(config, progress)

    progress.begin("starting TensorFlow")
    import numpy as np

    from dlcli.core import devices
    from dlcli.vision.features import Draw, KeptFeatures
    from dlcli.vision.transfer import pooled

    size = config.image_size or choice.size
    if size is None:
        raise DataError(f"{choice.name} does not say for which size it is made", hint="Give --image-size, such as 160")
    color: Literal["rgb", "grayscale"] = "rgb" if choice.channels == 3 else "grayscale"
    pipeline = config.take(ImagePipelineConfig).model_copy(update={"image_size": size, "color": color})
    with devices.use(config.device, precision=config.precision, auto=choice.auto) as placement:
        model = base_choice.load(choice, base, size=size, seed=0, progress=progress)
        kept = KeptFeatures(pooled(model, choice, pipeline, config.pooling), items, [Draw()])
        kept.fill(progress)
        arrays = {"features": kept[np.arange(len(items))], "files": np.array(items)}
    if labels is not None:
        arrays["labels"] = np.array(labels)
    progress.begin(f"writing {config.out}")
    with replacing(config.out) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return FeaturesResult(
        data=config.data,
        out=config.out,
        base=config.base,
        image_size=size,
        shape=arrays["features"].shape,
        classes=len(set(labels)) if labels is not None else None,
        precision=placement.precision,
    )


def _read(config: FeaturesConfig, progress: Progress) -> tuple[list[str], list[str] | None]:
    """Return the pictures, and their labels if those are wanted."""
    from dlcli.vision.read import scan_labelled, scan_pictures

    path = resolve_input(config.data)
    progress.begin(f"looking at the pictures of {path}")
    if not config.labels:
        return [item for item, _ in strict(scan_pictures(path, column=config.path_column))], None
    found = list(strict(scan_labelled(path, config.take(ImageDataConfig), part="train")))
    if not found:
        raise DataError(f"{path} has no pictures", hint="Expected a folder of pictures for each class; or --no-labels")
    return [one.item for one in found], [one.label for one in found]


ACTION = Action(
    config=FeaturesConfig,
    function=features,
    examples=(
        "dlcli features sample_data/shapes shapes.npz --base shipped",
        "dlcli features photos/ photos.npz --base vgg16 --pooling avg",
        "dlcli features holiday/ holiday.npz --base mobilenet --no-labels",
    ),
)
