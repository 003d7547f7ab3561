"""`dlcli augment`: a folder of pictures with changed copies of each, or a picture that shows what would be done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dlcli.core.config import Names, option
from dlcli.core.folders import PARTS
from dlcli.core.progress import Progress
from dlcli.errors import DataError, Terminated, UsageError, nearest, shown
from dlcli.resources import resolve_input
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts
from dlcli.vision.augmentation.config import AugmentationConfig
from dlcli.vision.config import ImageSize

if TYPE_CHECKING:
    from dlcli.core.lines import BadRow
    from dlcli.vision.augmentation.manifest import Recipe
    from dlcli.vision.augmentation.output import Output
    from dlcli.vision.augmentation.plan import Source

# Bad pictures that a message names.
_NAMED = 5
# Rows of a preview.
_ROWS = 4


class AugmentConfig(AugmentationConfig):
    """All settings of an augmentation on the disk."""

    section = "Data"

    data: Path = option(..., "The folder of pictures, in folders or not.", argument=True, metavar="SRC")
    out: Path | None = option(None, "The folder to write; not inside SRC.", argument=True, metavar="OUT")
    copies: int = option(4, "Changed copies of each picture.", ge=1, le=1000)
    originals: bool = option(True, "Write the pictures themselves too, byte by byte.")
    parts: Names = option(
        ("train",),
        "Which of train/, val/ and test/ get copies, where SRC has them; of the others the pictures alone are written: "
        "copies in them would make scores of something else.",
        metavar="PART,...",
    )
    image_size: ImageSize | None = option(
        None, "Size of the copies: 150, or HEIGHTxWIDTH; without it each picture's own.", metavar="SIZE"
    )
    resize: Literal["stretch", "letterbox", "crop"] = option(
        "stretch",
        "How a picture of another shape gets that size: stretched; whole, with black bars; or its largest middle part.",
    )
    format: Literal["keep", "jpeg", "png", "webp"] = option(
        "keep", "Format of the copies: that of each picture's ending (GIF becomes PNG), or one for all."
    )
    quality: int = option(90, "Quality of JPEG and WebP.", ge=1, le=100)
    seed: int = option(0, "Of the draws: each is a function of it, the picture's path in SRC and the copy.", ge=0)
    workers: int | None = option(
        None, "Threads; without it as many as processors. Files do not depend on it.", ge=1, le=256
    )
    preview: Path | None = option(
        None,
        "Draw some pictures and what would be done to them (without operations: by --augment book) into this file, and "
        "write nothing else.",
        metavar="PNG",
    )
    skip_bad: bool = option(False, "Go on without pictures that cannot be read, and list them in skipped.jsonl.")
    force: bool = option(False, "Replace what augment wrote to OUT, or the file of --preview.")


class AugmentResult(Result):
    """What was written.

    Attributes:
        pictures: that were read.
        originals: that were written as they are.
        copies: that were made.
        reused: files that stood there already, of an augment that was stopped.
        skipped: pictures that cannot be read, with what is wrong.
    """

    data: Path
    out: Path | None
    preview: Path | None = None
    pictures: int
    originals: int = 0
    copies: int = 0
    reused: int = 0
    skipped: list[dict[str, str]] = Field(default_factory=list)
    seconds: float = 0.0
    manifest: Path | None = None

    def text(self) -> str:
        """Return what was written."""
        if self.preview is not None:
            return facts([("preview", str(self.preview)), ("pictures", f"{self.pictures:,} shown; nothing was copied")])
        rate = f", {(self.copies + self.originals - self.reused) / max(self.seconds, 1e-3):,.0f} files/s"
        named = ", ".join(row["source"] for row in self.skipped[:_NAMED])
        return facts(
            [
                ("pictures", f"{self.pictures:,}"),
                ("originals", f"{self.originals:,}" if self.originals else "none"),
                ("copies", f"{self.copies:,}"),
                ("reused", f"{self.reused:,} files, of the augment that was stopped" if self.reused else ""),
                ("skipped", f"{len(self.skipped):,} bad: {named}" + (" ..." if len(self.skipped) > _NAMED else ""))
                if self.skipped
                else ("skipped", ""),
                ("time", f"{self.seconds:.1f} s{rate}"),
                ("manifest", str(self.manifest)),
                ("out", str(self.out)),
            ]
        )


def augment(config: AugmentConfig, progress: Progress) -> AugmentResult:
    """Write a folder of pictures with changed copies, or a preview.

    Args:
        config: the settings.
        progress: told of stages and pictures.

    Returns:
        what was written.

    Raises:
        UsageError: nothing would be changed; OUT lies in SRC.
        DataError: there are no pictures, or some cannot be read.
        SurroundingsError: OUT holds something else, or cannot be written.
    """
    from dlcli.core.folders import require_exists

    if not config.active and config.preview is not None and config.augment is None:
        progress.note("no operation was given: this is what --augment book does")
        config = config.model_copy(update={"augment": "book"})
    if not config.active:
        hint = "Give a preset, such as --augment book, or operations, such as --rotation 40"
        raise UsageError("nothing is to be changed: expected at least one operation", hint=hint)
    for part in config.parts:
        if part not in PARTS:
            raise UsageError(f"--parts: there is no part {part!r}", hint=nearest(part, PARTS))
    source = resolve_input(config.data)
    require_exists(source)
    if not source.is_dir():
        raise UsageError(f"{source} is a file, expected a folder of pictures", hint="Name the folder that holds it")
    if config.preview is not None:
        return _preview(config, source, config.preview, progress)
    if config.out is None:
        raise UsageError("OUT is missing: the folder to write", hint="Or look first, with --preview grid.png")
    return _write(config, source, config.out, progress)


def _recipe(config: AugmentConfig) -> Recipe:
    from dlcli.vision.augmentation.manifest import Recipe

    return Recipe(
        strengths=config.strengths(),
        seed=config.seed,
        size=config.image_size,
        resize=config.resize,
        quality=config.quality,
    )


# --- files --------------------------------------------------------------------------------------------------------


def _write(config: AugmentConfig, source: Path, out: Path, progress: Progress) -> AugmentResult:
    from dlcli.vision.augmentation.manifest import MANIFEST
    from dlcli.vision.augmentation.output import opened
    from dlcli.vision.augmentation.plan import plan
    from dlcli.vision.raw import BadPictures

    begun = time.monotonic()
    _require_apart(source, out)
    good, bad, parts = _look(config, source, progress)
    sources = plan(source, good, parts=parts, augmented=config.parts, copies=config.copies, format=config.format)
    header = _recipe(config).header() | config.model_dump(include={"copies", "originals", "format", "parts"})
    settings = header | {"source": str(source.resolve())}
    names = {name for one in sources for name in one.files(originals=config.originals)}
    with opened(out, settings, names=names, force=config.force) as output:
        if output.resumed:
            progress.note(f"going on with the augment that was stopped in {out}")
        progress.begin(f"augmenting {source}", total=len(names))
        try:
            rows, reused, damaged = _copy_all(sources, config, output, progress)
        except (KeyboardInterrupt, Terminated):
            progress.note("to go on, run the same command again")
            raise
        bad += damaged
        if damaged and not config.skip_bad:
            raise BadPictures(bad, hint="Repair or delete them, or add --skip-bad; what is done is kept")
        output.finish(rows, header, [_skipped(one, source) for one in bad])
    return AugmentResult(
        data=config.data,
        out=out,
        pictures=len(sources) - len(damaged),
        originals=sum(row["copy"] == 0 for row in rows),
        copies=sum(row["copy"] > 0 for row in rows),
        reused=reused,
        skipped=[_skipped(one, source) for one in bad],
        seconds=round(time.monotonic() - begun, 3),
        manifest=out / MANIFEST,
    )


def _require_apart(source: Path, out: Path) -> None:
    """Find out that neither folder lies in the other."""
    inner, outer = out.resolve(), source.resolve()
    if inner == outer:
        raise UsageError(f"OUT is SRC itself, {out}: expected another folder", hint="Name another OUT")
    if inner.is_relative_to(outer):
        raise UsageError(f"OUT, {out}, lies in SRC: its copies would be copied", hint="Name a folder beside SRC")
    if outer.is_relative_to(inner):
        raise UsageError(f"SRC, {source}, lies in OUT: --force would delete it", hint="Name a folder beside SRC")


def _look(config: AugmentConfig, source: Path, progress: Progress) -> tuple[list[str], list[BadRow], list[str]]:
    """Return the pictures whose headers are good, what is wrong with others, and the parts of the folder."""
    from dlcli.vision.augmentation.plan import find
    from dlcli.vision.raw import BadItem, BadPictures, look_all

    found, parts = find(source)
    if found.unsupported:
        kinds = ", ".join(f"{count:,} {ending}" for ending, count in found.unsupported.most_common(_NAMED))
        more = " ..." if len(found.unsupported) > _NAMED else ""
        progress.warn(f"not written, since they are no pictures that can be read: {kinds}{more}")
    progress.begin(f"looking at {source}", total=len(found.pictures))
    good: list[str] = []
    bad = list(found.bad)
    for look in look_all(found.pictures):
        progress.advance()
        if isinstance(look, BadItem):
            bad.append(look)
        else:
            good.append(look.item)
    if bad and not config.skip_bad:
        raise BadPictures(bad, hint="Repair or delete them, or add --skip-bad")
    if not good:
        raise DataError(f"{source}: none of the {len(bad):,} pictures can be read", hint="See dlcli check")
    if bad:
        progress.warn(f"skipping {len(bad):,}: {'; '.join(str(one.message) for one in bad[:_NAMED])}")
    return good, bad, parts


def _skipped(bad: BadRow, source: Path) -> dict[str, str]:
    name = str(bad.source)
    return {"source": name.removeprefix(f"{source}/"), "kind": bad.kind, "what": bad.what}


def _copy_all(
    sources: Sequence[Source], config: AugmentConfig, output: Output, progress: Progress
) -> tuple[list[dict[str, Any]], int, list[BadRow]]:
    """Write all files on threads; return their rows, how many were there already, and what could not be decoded."""
    from dlcli.core.parallel import parallel
    from dlcli.vision.augmentation.copying import Copier
    from dlcli.vision.raw import BadItem

    copier = Copier(_recipe(config), output, originals=config.originals)
    rows: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    reused = 0
    for source, done in zip(sources, parallel(copier, sources, threads=config.workers), strict=True):
        progress.advance(len(source.files(originals=config.originals)))
        if isinstance(done, BadItem):
            bad.append(done)
            if config.skip_bad:  # Else one error names them all.
                progress.warn(done.message)
            continue
        output.note(source.name, done.rows)
        rows += done.rows
        reused += len(done.rows) if done.reused else 0
    return rows, reused, bad


# --- preview ------------------------------------------------------------------------------------------------------


def _preview(config: AugmentConfig, source: Path, path: Path, progress: Progress) -> AugmentResult:
    from dlcli.core.files import replacing, require_free_file
    from dlcli.vision.augmentation.pictures import decode_picture
    from dlcli.vision.augmentation.plan import find, plan
    from dlcli.vision.augmentation.preview import columns, grid
    from dlcli.vision.raw import BadItem, read_raw

    require_free_file(path, option="--preview", endings=(".png", ".jpg", ".jpeg", ".webp"), force=config.force)
    if path.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"--preview: {path} lies in SRC: it would be taken for one of its pictures", hint="Put it elsewhere"
        )
    found, parts = find(source)
    sources = plan(source, found.pictures, parts=parts, augmented=config.parts, copies=1, format="png")
    progress.begin("drawing the preview")
    recipe = _recipe(config)
    pictures = []
    for one in _spread([one for one in sources if one.copies]):
        try:
            data = read_raw(one.item)
            picture = decode_picture(one.item, data, recipe.size, resize=recipe.resize)
        except BadItem as bad:
            if not config.skip_bad:
                raise
            progress.warn(bad.message)
        else:
            pictures.append((shown(one.name), one.key, picture))
    if not pictures:
        raise DataError(f"{source} has no picture that could be shown", hint="See dlcli check")
    image = grid(pictures, columns(recipe.strengths, seed=recipe.seed))
    with replacing(path) as temporary:
        image.save(temporary)
    return AugmentResult(data=config.data, out=None, preview=path, pictures=len(pictures))


def _spread(sources: Sequence[Source]) -> list[Source]:
    """Return some of the pictures, from all over: of several classes, where they are folders."""
    count = min(_ROWS, len(sources))
    return [sources[(2 * number + 1) * len(sources) // (2 * count)] for number in range(count)]


ACTION = Action(
    config=AugmentConfig,
    function=augment,
    examples=(
        "dlcli augment photos/ --augment book --preview grid.png",
        "dlcli augment photos/ photos-x5/ --copies 4 --augment book",
        "dlcli augment photos/ photos-x5/ --rotation 40 --width-shift 0.2 --zoom 0.8-1.2 --horizontal-flip",
        "dlcli augment photos/ copies/ --no-originals --augment light --image-size 150 --format jpeg --quality 85",
    ),
)
