"""`dlcli pretrained`: the bases that dlcli knows, and how their weights come to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from dlcli.core.config import Config, option
from dlcli.core.progress import Progress
from dlcli.errors import UsageError
from dlcli.resources import resource
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts
from dlcli.vision import bases
from dlcli.vision.bases import Base, Preprocessing


class PretrainedConfig(Config):
    """What to do with which bases."""

    section = "Bases"

    action: Literal["list", "fetch", "add", "path"] = option(
        "list",
        "list: what there is; fetch: bring weights to this machine; add: put a file that you have in their place, or "
        "make a base of your own of a model or a run; path: print where they are.",
        argument=True,
        metavar="list|fetch|add|path",
    )
    names: tuple[str, ...] = option(
        (),
        "Names of bases, list shows all without them; for add a file of weights, a .keras model or a run.",
        argument=True,
        metavar="NAME|FILE",
    )
    full: bool = option(False, "With the head for ImageNet's 1,000 classes, which predict base:NAME needs.")
    mirror: str = option("", "Fetch the files of the same names under this address instead.", metavar="URL")
    name: str = option("", "For add: the base that the weights are of, or what yours shall be called.", metavar="NAME")
    preprocessing: Preprocessing | None = option(
        None,
        "For add, what a model of yours takes: caffe, tf and torch as Keras calls them, unit from 0 to 1, none from 0 "
        "to 255; without it what its layers say.",
    )
    force: bool = option(False, "Fetch or add what is here already too, and replace it.")

    @model_validator(mode="after")
    def _fitting(self) -> PretrainedConfig:
        if self.action in ("fetch", "path") and not self.names:
            raise ValueError(
                f"expected the name of a base: dlcli pretrained {self.action} NAME (dlcli pretrained lists them)"
            )
        if self.action == "add" and len(self.names) != 1:
            raise ValueError("expected one file of weights, .keras model or run: dlcli pretrained add FILE")
        allowed = {
            "full": ("fetch", "path"),
            "mirror": ("fetch",),
            "force": ("fetch", "add"),
            "name": ("add",),
            "preprocessing": ("add",),
        }
        for setting, actions in allowed.items():
            if getattr(self, setting) and self.action not in actions:
                raise ValueError(f"--{setting} goes with {' and '.join(actions)}, not with {self.action}")
        return self


class PretrainedResult(Result):
    """The bases that were asked for."""

    action: str
    bases: list[dict[str, Any]]
    shown: str = Field(exclude=True)

    def text(self) -> str:
        """Return what was asked: a list, what came, or paths alone."""
        return self.shown


def pretrained(config: PretrainedConfig, progress: Progress) -> PretrainedResult:
    """List bases, fetch or add their weights, or say where they are.

    Args:
        config: the settings.
        progress: told of what comes.

    Returns:
        each base with what is known of it.

    Raises:
        UsageError: an unknown name, or a path that is asked for and not here.
        ModelError: a file to add is damaged, unsafe, or of no base.
        SurroundingsError: what shall be fetched cannot be had; those before it are here.
    """
    if config.action == "add":
        from dlcli.verbs.shared.own_bases import add

        added = add(
            Path(config.names[0]),
            name=config.name,
            preprocessing=config.preprocessing,
            force=config.force,
            progress=progress,
        )
        about = _about(added.base)
        shown = facts([("name", added.base.name), ("here", str(added.path)), ("licence", added.base.licence)])
        return PretrainedResult(action=config.action, bases=[about], shown=shown)
    entries = [bases.find(name) for name in config.names or bases.known()]
    if config.action == "path":
        paths = [_located(entry, full=config.full) for entry in entries]
        return PretrainedResult(
            action=config.action,
            bases=[{"name": entry.name, "path": str(path)} for entry, path in zip(entries, paths, strict=True)],
            shown="\n".join(map(str, paths)),
        )
    if config.action == "fetch":
        shown = "\n\n".join(facts(_fetch(entry, config, progress)) for entry in entries)
    else:
        shown = "\n\n".join(facts(_listed(entry)) for entry in entries)
    return PretrainedResult(action=config.action, bases=[_about(entry) for entry in entries], shown=shown)


def _fetch(base: Base, config: PretrainedConfig, progress: Progress) -> list[tuple[str, str]]:
    """Bring the weights of a base; return what is said of them."""
    from dlcli.vision.weights import here, obtain_file

    if base.file:
        return [("name", base.name), ("here", f"{base.path} (nothing to fetch)"), ("licence", base.licence)]
    file = base.full if config.full else base.weights
    if file is None:
        raise UsageError(f"no weights of {base.name}{' with its head' if config.full else ''} are published")
    found = []
    for wanted in (file, bases.CLASSES) if config.full else (file,):
        before = None if config.force else here(wanted)
        path = obtain_file(
            wanted,
            name=f"{base.name}{' --full' if config.full else ''}",
            progress=progress,
            mirror=config.mirror,
            force=config.force,
        )
        found.append(f"{path}{' (was here already; --force fetches it anew)' if path == before else ''}")
    return [
        ("name", base.name),
        *(("here" if not number else "", line) for number, line in enumerate(found)),
        ("licence", base.licence),
        ("citation", base.citation),
    ]


def _located(base: Base, *, full: bool) -> Path:
    """Return where the weights of a base are, or the model that it is."""
    path = _here(base, full=full)
    if path is None:
        wanted = f"{base.name}{' --full' if full else ''}"
        problem = f"the weights of {base.name} are not on this machine"
        raise UsageError(problem, hint=f"Fetch them with: dlcli pretrained fetch {wanted}")
    return path


def _here(base: Base, *, full: bool = False) -> Path | None:
    from dlcli.vision.weights import here

    if base.file:
        return base.path if base.path.is_file() and not full else None
    file = base.full if full else base.weights
    return here(file) if file else None


def _about(base: Base) -> dict[str, Any]:
    """Return what the registry says of a base, and what is here of it."""
    paths = {"path": _here(base), "full_path": _here(base, full=True)}
    return base.model_dump(mode="json") | {name: str(path) if path else None for name, path in paths.items()}


def _listed(base: Base) -> list[tuple[str, str]]:
    from dlcli.core.transfer import in_words

    here, full = _here(base), _here(base, full=True)
    card = resource(f"{bases.FOLDER}/{base.family}.md")
    vouched = base.weights and f"{base.weights.algorithm}, stated by {base.weights.hash_source}"
    return [
        ("name", base.name),
        ("title", base.title),
        ("input", f"{base.default_size}x{base.default_size}, at least {base.smallest_size}x{base.smallest_size}"),
        ("size", f"{base.parameters:,} parameters, {in_words(4 * base.parameters)}"),
        ("blocks", ", ".join(base.blocks)),
        ("licence", base.licence),
        ("citation", base.citation),
        ("weights", base.weights.address if base.weights else f"in {base.path.name}"),
        ("hash", (vouched or "") if base.weights and base.weights.hash else "none stated" if base.weights else ""),
        ("here", str(here) if here else f"no: dlcli pretrained fetch {base.name}"),
        ("", f"{full} (with its head)" if full else ""),
        ("card", str(card) if base.family and card.is_file() else ""),
    ]


ACTION = Action(
    config=PretrainedConfig,
    function=pretrained,
    examples=(
        "dlcli pretrained list",
        "dlcli pretrained fetch vgg16",
        "dlcli pretrained fetch mobilenet --full --mirror https://mirror.example.org/weights",
        "dlcli pretrained add vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "dlcli pretrained add runs/photos --name photos",
    ),
)
