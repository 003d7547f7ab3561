"""What users bring to `dlcli pretrained add`: weights that were published, models of their own, finished runs."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.core.fetch import exclusive
from dlcli.core.files import replacing, write_text
from dlcli.core.progress import Progress
from dlcli.errors import ModelError, SurroundingsError, UsageError
from dlcli.vision import bases
from dlcli.vision.bases import Base, Preprocessing, WeightsFile

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Added:
    """What came into the user's cache.

    Attributes:
        base: to which it belongs.
        path: where it lies now.
    """

    base: Base
    path: Path


def add(path: Path, *, name: str, preprocessing: Preprocessing | None, force: bool, progress: Progress) -> Added:
    """Put weights that were published into the cache, or make a base of a model or a run.

    Args:
        path: a file of weights, a `.keras` model, or the directory of a run.
        name: the base that weights are of, or what a new base shall be called; empty for what the file says.
        preprocessing: what a model takes, as in `Base`; None for what its layers say.
        force: replace what is there.
        progress: told of what is done.

    Raises:
        UsageError: nothing is there, or the name is taken.
        ModelError: the file is damaged, unsafe, or of no base.
        SurroundingsError: the cache cannot be written.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="Expected a file of weights, a .keras model or a run")
    if path.is_dir():
        return _from_run(path, name=name, preprocessing=preprocessing, force=force, progress=progress)
    if path.suffix == ".keras":
        title = f"a model of your own, from {path.name}"
        return _own(
            path,
            source=path,
            name=name or path.stem,
            preprocessing=preprocessing,
            title=title,
            force=force,
            progress=progress,
        )
    if preprocessing:
        raise UsageError("--preprocessing is for a model of your own, and published weights have theirs")
    return _published(path, name=name, progress=progress)


# Published weights.


def _published(path: Path, *, name: str, progress: Progress) -> Added:
    """Copy a file that somebody published into the cache, once it is known to be that one."""
    base, file, verified = _identified(path, name=name, progress=progress)
    target = bases.cache() / file.name
    from dlcli.vision.weights import keep_record

    with exclusive(target, progress):
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary)
        keep_record(file, target, address=str(path.absolute()))
    if not verified:
        progress.warn(
            f"nobody states a hash for {file.name}: the layers are those of {base.name}, "
            "and that the numbers are too was not verified"
        )
    return Added(base=base, path=target)


def _identified(path: Path, *, name: str, progress: Progress) -> tuple[Base, WeightsFile, bool]:
    """Return of which base a file is published, as which file, and whether a hash says so."""
    from dlcli.vision.weights import digest

    chosen = [bases.find(name)] if name else [bases.find(entry) for entry in bases.known()]
    files = [(base, file) for base in chosen for file in base.published]
    if not files:
        raise UsageError(f"no weights of {name} are published", hint="Name the base that they are of")
    progress.begin(f"verifying {path.name}")
    found = {algorithm: digest(path, algorithm) for algorithm in {file.algorithm for _, file in files}}
    for base, file in files:
        if file.hash and file.hash == found[file.algorithm]:
            return base, file, True
    named = [(base, file) for base, file in files if file.name == path.name]
    for base, file in named:
        if file.hash:
            raise ModelError(
                f"{path} is not the file that is published under its name: expected {file.algorithm} {file.hash} "
                f"({file.hash_source}), got {found[file.algorithm]}",
                hint=f"Fetch it: dlcli pretrained fetch {base.name}",
            )
    for base, file in named or [(base, file) for base, file in files if name and not file.hash]:
        _require_layers(base, file, path)
        return base, file, False
    raise ModelError(
        f"{path} is no file that is published of {name or 'a base'}: neither its hash nor its name is known",
        hint="Name the base that it is of with --name; weights of your own are used with --weights FILE",
    )


def _require_layers(base: Base, file: WeightsFile, path: Path) -> None:
    """Raise a `ModelError` unless a file has the layers of a base."""
    from dlcli.vision import architectures

    side = base.default_size
    architectures.build(base, height=side, width=side, weights=path, full=file == base.full)


# Models of users.


def _from_run(path: Path, *, name: str, preprocessing: Preprocessing | None, force: bool, progress: Progress) -> Added:
    """Make a base of a finished run of pictures, whose model takes pixels as they are."""
    from dlcli.core.record import MODEL, open_finished, read_record

    record = read_record(path)
    if record.domain != "vision":
        raise UsageError(f"{path} classifies texts, and a base takes pictures", hint="Name a run of train-image")
    if preprocessing not in (None, "none"):
        raise UsageError("--preprocessing: the model of a run does its own", hint="Leave it out")
    open_finished(path)
    model = str(record.config.get("model") or record.config.get("base") or record.verb)
    return _own(
        path / MODEL,
        source=path,
        name=name or path.resolve().name,
        preprocessing="none",
        title=f"{model}, trained by dlcli {record.verb} on {len(record.labels)} classes",
        force=force,
        progress=progress,
    )


def _own(
    file: Path,
    *,
    source: Path,
    name: str,
    preprocessing: Preprocessing | None,
    title: str,
    force: bool,
    progress: Progress,
) -> Added:
    """Write a model without its head, and an entry that describes it, into the cache."""
    entry = bases.cache() / f"{name}.toml"
    _require_free(name, entry, force=force)
    progress.begin("loading the model")
    from dlcli.core import keras_files
    from dlcli.vision.own_models import require_base, scales_itself, without_head

    model = keras_files.load(file, stranger=file == source)
    require_base(model, source=source)
    model = without_head(model)
    like = bases.recognised([layer.name for layer in model.layers])
    if preprocessing is None:
        preprocessing = "none" if scales_itself(model) else like.preprocessing if like else None
    if preprocessing is None:
        raise UsageError(
            f"{source}: nothing says which numbers the model takes: it is none of Keras' own and has no Rescaling",
            hint="Say it: --preprocessing unit for pixels from 0 to 1, none for 0 to 255; see --help",
        )
    base = _described(model, like, name=name, title=title, preprocessing=preprocessing)
    with exclusive(entry, progress):
        _require_free(name, entry, force=force)
        with replacing(entry.with_suffix(".keras")) as temporary:
            model.save(temporary)
            _compress(temporary)
        write_text(entry, _toml(base))
    return Added(base=base, path=entry.with_suffix(".keras"))


def _compress(path: Path) -> None:
    """Compress the parts of a `.keras` file, which Keras stores as they are."""
    with zipfile.ZipFile(path) as stored:
        parts = [(name, stored.read(name)) for name in stored.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, content in parts:
            packed.writestr(name, content)


def _described(model: Any, like: Base | None, *, name: str, title: str, preprocessing: Preprocessing) -> Base:
    """Return the entry of a user's own model.

    Args:
        model: without its head.
        like: the base that it is made as, if any.
        name: of the entry.
        title: likewise.
        preprocessing: what the model takes.
    """
    from dlcli.vision.own_models import blocks_of

    largest, smallest = _sides(model, like, title)
    return Base(
        name=name,
        title=title,
        file=f"{name}.keras",
        preprocessing=preprocessing,
        default_size=largest,
        smallest_size=smallest,
        feature_layer=model.outputs[0]._keras_history.operation.name,
        blocks=like.blocks if like else blocks_of(model),
        parameters=model.count_params(),
        licence="your own" + (f"; where it began with the weights of {like.name}: {like.licence}" if like else ""),
        bfloat16=like.bfloat16 if like else False,
    )


def _sides(model: Any, like: Base | None, title: str) -> tuple[int, int]:
    """Return the side of the pictures that a model takes where nobody says another, and the smallest."""
    sides, maps = model.inputs[0].shape[1:3], model.outputs[0].shape
    if None in sides:
        if like is None:
            raise ModelError(f"{title}, takes pictures of any size", hint="Save it for pictures of one size")
        return like.default_size, like.smallest_size
    # As small as still leaves one pixel of feature maps; features without pixels say nothing of smaller pictures.
    return max(sides), -(-min(sides) // min(maps[1:3])) if len(maps) == 4 else min(sides)


def _require_free(name: str, entry: Path, *, force: bool) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"expected a name of letters, digits, dots and dashes, got {name!r}", hint="Give one with --name"
        )
    shipped = bases.known().get(name)
    if shipped and shipped != entry:
        raise UsageError(f"a base {name!r} ships with dlcli", hint="Give yours another name with --name")
    if entry.exists() and not force:
        raise SurroundingsError(f"{entry} exists already", hint="Add --force to replace it, or another --name")


def _toml(base: Base) -> str:
    """Return a base as the content of its entry."""
    fields: dict[str, Any] = base.model_dump(mode="json", exclude={"name", "blocks"}, exclude_defaults=True)
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    blocks = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in base.blocks.items()]
    return "\n".join([*lines, "", "[blocks]", *blocks]) + "\n"
