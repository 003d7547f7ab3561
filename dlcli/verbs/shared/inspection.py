"""What `inspect` does when it is asked for more than a run's record: the network itself is loaded and looked into."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, model_validator

from dlcli.core.config import Names, flag, option
from dlcli.core.progress import Progress
from dlcli.errors import UsageError
from dlcli.resources import resolve_input
from dlcli.verbs.shared.answered import AnsweringConfig

if TYPE_CHECKING:
    from dlcli.core.record import RunRecord
    from dlcli.vision.bases import Base

# Where pictures go without --out, in the run.
FOLDER = "inspection"
# Filters that are looked at when none are named.
_FEW = 16


def _numbers(value: Any) -> Any:
    """Read `0-15,20` as numbers."""
    if not isinstance(value, str):
        return value
    found: list[int] = []
    for part in value.split(","):
        ends = [end.strip() for end in part.split("-")]
        if len(ends) > 2 or not all(end.isdecimal() for end in ends) or int(ends[0]) > int(ends[-1]):
            raise ValueError(f"expected numbers such as 0-15,20, got {value!r}")
        some = range(int(ends[0]), int(ends[-1]) + 1)
        if len(found) + some.stop - some.start > _MOST_FILTERS:
            raise ValueError(f"expected at most {_MOST_FILTERS} filters, got {value!r}")
        found += some
    return tuple(dict.fromkeys(found))


_MOST_FILTERS = 256
Numbers = Annotated[tuple[int, ...], BeforeValidator(_numbers)]


class NetworkConfig(AnsweringConfig):
    """What of the network is looked at."""

    section = "Network"

    layers: bool = option(False, "List the layers: kind, shape of the output, parameters, and how many are trained.")
    weights: Names = option(
        (), "Statistics of these layers' weights, or of all; draw those that read pixels.", metavar="LAYER,..."
    )
    activations: Path | None = option(
        None, "Draw what each layer makes of a picture: its feature maps.", metavar="PICTURE"
    )
    of: Names = option((), "With --activations: these layers alone.", metavar="LAYER,...")
    visualise: str = option("", "Make the pictures that excite a layer's filters, by gradient ascent.", metavar="LAYER")
    steps: int = option(200, "With --visualise: steps of the ascent.", ge=1, le=10_000)
    seed: int = option(0, "With --visualise: seed of the start, and of how pictures are moved.", ge=0, lt=2**31)
    top_activating: str = option(
        "", "Find the pictures, or the words, of data that excite a layer's filters most.", metavar="LAYER"
    )
    data: Path | None = option(
        None, "With --top-activating: the data; without it the run's training data.", metavar="DATA"
    )
    top: int = option(8, "With --top-activating: so many for each filter.", ge=1, le=100)
    filters: Numbers = option((), f"Which filters, such as 0-15,20; without it the first {_FEW}.", metavar="NUMBERS")
    graph: Path | None = option(None, "Draw the network, as a PNG or SVG file.", metavar="FILE")
    out: Path | None = option(
        None, f"Folder of the pictures; without it RUN/{FOLDER}, for a base {FOLDER}.", metavar="DIR"
    )
    force: bool = option(False, "Replace pictures that are there.")

    @model_validator(mode="after")
    def _fitting(self) -> NetworkConfig:
        asked = {"of": self.activations, "data": self.top_activating, "filters": self.visualise or self.top_activating}
        wanted = {"of": "--activations", "data": "--top-activating", "filters": "--visualise or --top-activating"}
        for name, other in asked.items():
            if getattr(self, name) and not other:
                raise ValueError(f"{flag(name)} goes with {wanted[name]}")
        if self.out is not None and self.out.suffix.lower() in (".png", ".svg"):
            raise ValueError(f"--out is a folder of pictures, got {self.out}; --graph takes a file")
        return self

    @property
    def looks_inside(self) -> bool:
        """Whether the network has to be loaded."""
        return bool(
            self.layers or self.weights or self.activations or self.visualise or self.top_activating or self.graph
        )


def look_inside(config: NetworkConfig, record: RunRecord, base: Base | None, progress: Progress) -> dict[str, Any]:
    """Load a finished run, or a base, and find out what was asked for.

    Args:
        config: what is asked for.
        record: of the run, or what one would say of the base.
        base: which takes the place of a run, if one does.
        progress: told of stages and items.

    Returns:
        by the names of the flags: what was found; and `pictures`, the files that were drawn.

    Raises:
        UsageError: what is asked for is for runs of another kind, or a layer does not exist.
        SurroundingsError: a file is there already.
    """
    looking = _Looking(config, record, base, progress)
    steps: dict[str, tuple[Any, Callable[[], Any]]] = {
        "layers": (config.layers, looking.layers),
        "weights": (config.weights, looking.weights),
        "activations": (config.activations, looking.activations),
        "visualise": (config.visualise, looking.visualise),
        "top_activating": (config.top_activating, looking.top_activating),
        "graph": (config.graph, looking.graph),
    }
    looking.check()
    looking.load()
    found = {name: step() for name, (wanted, step) in steps.items() if wanted}
    return found | {"pictures": looking.pictures}


class _Looking:
    """One look into a run: it is loaded once, for all that is asked for."""

    def __init__(self, config: NetworkConfig, record: RunRecord, base: Base | None, progress: Progress) -> None:
        self.config = config
        self.record = record
        self.base = base
        self.run = config.run
        self.progress = progress
        self.pictures: list[Path] = []
        self._folder = config.out or (Path(FOLDER) if base else config.run / FOLDER)

    def check(self) -> None:
        """Refuse what cannot be done, before TensorFlow is imported."""
        config, record = self.config, self.record
        if record.domain != "vision":
            if config.activations:
                raise UsageError(
                    f"--activations draws feature maps of a picture, and {self.run} classifies texts",
                    hint="--top-activating LAYER shows which words excite a filter",
                )
            if config.visualise:
                raise UsageError(
                    f"--visualise makes pictures, and {self.run} classifies texts",
                    hint="--top-activating LAYER shows which words excite a filter",
                )
        if config.top_activating and "members" in record.config:
            raise UsageError(
                f"--top-activating looks into one network, and {self.run} is an ensemble",
                hint=f"Look into one of its runs: {', '.join(map(str, record.config['members']))}",
            )
        config.require_fitting(record)
        if config.graph:
            from dlcli.core.files import require_free_file

            require_free_file(config.graph, option="--graph", endings=(".png", ".svg"), force=config.force)
        if config.visualise:
            self._place("visualised", config.visualise)
        if config.top_activating and record.domain == "vision":
            self._place("top", config.top_activating)
        # Read before TensorFlow starts: what is wrong with the data is known at once.
        self._item = self._one_picture() if config.activations else ""
        self._items = self._data() if config.top_activating else iter(())

    def load(self) -> None:
        """Load the run."""
        self.predictor = self.config.predictor(self.base, self.progress)
        self.model = self.predictor.model
        if self.base:
            from dlcli.vision.networks import separate

            self.model = separate(self.model)  # Its layers are part of the network as it was published too.

    def layers(self) -> list[dict[str, Any]]:
        """Return the layers."""
        from dlcli.results.inspection import structure

        return [dataclasses.asdict(layer) for layer in structure.layers_of(self.model)]

    def weights(self) -> list[dict[str, Any]]:
        """Return the statistics of weights, and draw those that read pixels."""
        from dlcli.results.inspection import pictures, structure, weights

        found = structure.with_weights(self.model, self.config.weights, option="--weights")
        kernels = {name: kernel for name, layer in found.items() if (kernel := weights.kernel_of(layer)) is not None}
        places = {name: self._place("weights", name) for name in kernels}
        for name, kernel in kernels.items():
            pictures.draw_kernels(self._drawn(places[name]), kernel, layer=name)
        return weights.statistics(found)

    def activations(self) -> list[dict[str, Any]]:
        """Draw what layers make of a picture, and return it in numbers."""
        from dlcli.results.inspection import activations

        rows = self.predictor.pipeline.encode([self._item])
        pixels = rows.take([0])
        found = activations.activations(self.model, pixels, self.config.of)
        places = {name: self._place("activations", name) for name in found}
        self.progress.begin("drawing", len(found))
        for name, numbers in found.items():
            activations.draw_activations(
                self._drawn(places[name]), numbers, layer=name, pixels=pixels[0], item=self._item
            )
            self.progress.advance()
        return list(activations.summaries(found))

    def visualise(self) -> list[dict[str, Any]]:
        """Make and draw the pictures that excite filters."""
        from dlcli.results.inspection import ascent, pictures

        config, layer = self.config, self.config.visualise
        filters, names = self._filters(layer, "--visualise")
        self.progress.begin(f"climbing for {len(filters)} filters", config.steps)
        found = ascent.visualise(
            self.model, layer, filters, steps=config.steps, seed=config.seed, progress=self.progress
        )
        path = self._drawn(self._place("visualised", layer))
        pictures.draw_visualised(path, found, names, layer=layer, steps=config.steps)
        return [
            {"filter": number, "name": name, "activation": float(activation), "noise": float(noise)}
            for number, name, activation, noise in zip(filters, names, found.activations, found.noise, strict=True)
        ]

    def top_activating(self) -> list[dict[str, Any]]:
        """Find what excites filters most, and draw it where it is pictures."""
        from dlcli.results.inspection import excitation, pictures

        layer = self.config.top_activating
        filters, names = self._filters(layer, "--top-activating")
        self.progress.begin("looking at the data")
        best = excitation.most_exciting(
            self.model,
            self.predictor.pipeline,
            self._items,
            layer=layer,
            filters=filters,
            count=self.config.top,
            progress=self.progress,
        )
        if self.record.domain == "vision":
            path = self._drawn(self._place("top", layer))
            pictures.draw_exciting(path, best, names, self.predictor.pipeline, layer=layer)
        return [
            {"filter": number, "name": name, "inputs": [_said(one) for one in row]}
            for number, name, row in zip(filters, names, best, strict=True)
        ]

    def graph(self) -> str:
        """Draw the network."""
        from dlcli.results.inspection import drawing, structure

        assert self.config.graph is not None, "asked for"
        found = structure.layers_of(self.model)
        count = sum(not layer.depth for layer in found)
        subtitle = f"{count} layers, {self.model.count_params():,} parameters"
        drawing.draw_network(self._drawn(self.config.graph), found, title=self.model.name, subtitle=subtitle)
        return str(self.config.graph)

    def _filters(self, layer: str, option: str) -> tuple[list[int], list[str]]:
        """Return the filters that are meant and their names: those of classes are the classes'."""
        from dlcli.results.inspection.excitation import filters_of

        found = filters_of(self.model, layer, self.config.filters, most=_FEW, option=option)
        is_last = layer == self.model.layers[-1].name
        return found, [self.predictor.labels[number] if is_last else str(number) for number in found]

    def _place(self, kind: str, layer: str) -> Path:
        """Return the file of a picture.

        Raises:
            SurroundingsError: it is there already.
        """
        from dlcli.core.files import require_free_file

        path = self._folder / f"{kind}-{layer.replace('/', '-')}.png"
        require_free_file(path, option="--out", endings=(), force=self.config.force or path in self.pictures)
        return path

    def _drawn(self, path: Path) -> Path:
        self.pictures.append(path)
        return path

    def _one_picture(self) -> str:
        path = self.config.activations
        assert path is not None, "asked for"
        found = [item for item, _ in zip(self._rows(path), range(2), strict=False)]
        if len(found) != 1:
            raise UsageError(f"--activations takes one picture, and {path} holds {'more' if found else 'none'}")
        return found[0]

    def _data(self) -> Iterator[str]:
        """Return the items to look among."""
        config, record = self.config, self.record
        if config.data is None and self.base:
            raise UsageError(f"{self.run} has no training data of its own here", hint="Name some with --data")
        path = resolve_input(config.data or Path(record.config["data"]))
        if not path.exists() and config.data is None:
            raise UsageError(f"the run's data, {path}, is not there any more", hint="Name other data with --data")
        return self._rows(path)

    def _rows(self, path: Path) -> Iterator[str]:
        config, record = self.config, self.record
        scanned = config.unlabelled(record, path, own=config.data is None)
        items = (item for item, _ in config.usable(scanned, record, path, self.progress))
        first = next(items, None)  # What is wrong at the start of a table is known before TensorFlow is imported.
        return iter(()) if first is None else itertools.chain([first], items)


def _said(one: Any) -> dict[str, Any]:
    """Return what `--json` says of an exciting item: what is not there is left out."""
    return {name: value for name, value in dataclasses.asdict(one).items() if value not in ("", None)}
