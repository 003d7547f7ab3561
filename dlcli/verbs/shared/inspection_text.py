"""What was found inside a network, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.verbs.shared.result import facts, table

Found = Sequence[Mapping[str, Any]]

# Characters of a text that stands for itself.
_LONGEST = 90


def layers_table(layers: Found) -> str:
    """Return the layers as a table, those inside others set in, and how many parameters there are."""
    rows = [
        (
            "  " * layer["depth"] + (layer["name"].rpartition("/")[2] if layer["depth"] else layer["name"]),
            layer["kind"],
            _shape(layer["shape"][1:]),
            f"{layer['parameters']:,}" if layer["parameters"] else "",
            f"{layer['trainable']:,}" if layer["parameters"] else "",
        )
        for layer in layers
    ]
    total, trained = (
        sum(layer[name] for layer in layers if not layer["depth"]) for name in ("parameters", "trainable")
    )
    header = ("layer", "kind", "output", "parameters", "trained")
    return table([*rows, ("", "", "", f"{total:,}", f"{trained:,}")], header=header)


def weights_table(weights: Found) -> str:
    """Return statistics of weights as a table, and name those that are no numbers any more."""
    from dlcli.results.inspection.weights import sparkline

    rows = []
    for one in weights:
        name = f"{one['layer']} {one['weight']}"
        if one["histogram"] is None:
            rows.append((name, _shape(one["shape"]), *[""] * 7))
            continue
        numbers = (f"{one[key]:.4g}" for key in ("mean", "std", "min", "max"))
        spread = f"|{sparkline(one['histogram']['counts'])}|"
        rows.append((name, _shape(one["shape"]), *numbers, f"{one['zeros']:.1%}", f"{one['norm']:.4g}", spread))
    header = ("weights", "shape", "mean", "std", "min", "max", "zero", "norm", "from min to max")
    bad = [
        f"{one['layer']} {one['weight']}: {one['nan']:,} NaN and {one['infinite']:,} infinite numbers"
        for one in weights
        if one["nan"] or one["infinite"]
    ]
    return "\n".join([table(rows, header=header), *bad])


def activations_table(found: Found) -> str:
    """Return what layers make of a picture."""
    rows = [
        (
            one["layer"],
            _shape(one["shape"]),
            *(f"{one[key]:.4g}" for key in ("mean", "min", "max")),
            f"{one['zeros']:.1%}",
            " ".join(map(str, one["strongest"])),
        )
        for one in found
    ]
    return table(rows, header=("layer", "output", "mean", "min", "max", "zero", "strongest maps"))


def visualised_table(layer: str, found: Found) -> str:
    """Return how far the pictures that were made excite their filters."""
    rows = [(str(one["name"]), f"{one['activation']:.4g}", f"{one['noise']:.4g}") for one in found]
    return table(rows, header=(f"filter of {layer}", "mean output", "for noise"))


def exciting_text(layer: str, found: Found) -> str:
    """Return what excites each filter most: words with those around them, or the names of pictures."""
    return "\n\n".join("\n".join(_of_filter(layer, one)) for one in found)


def pictures_text(pictures: Sequence[Path]) -> str:
    """Return where pictures are: their folder, where there are many."""
    if len(pictures) <= 4:
        return facts([("" if number else "drawn", str(path)) for number, path in enumerate(pictures)])
    return facts([("drawn", f"{len(pictures)} pictures in {pictures[0].parent}")])


def _of_filter(layer: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_name(found)} of {layer}"
    for one in found["inputs"]:
        yield f"  {one['activation']:8.3f}  {_shown(one)}"


def _name(found: Mapping[str, Any]) -> str:
    """Return what a filter is called: a number, or the name of a class."""
    return f"filter {found['name']}" if found["name"] == str(found["filter"]) else str(found["name"])


def _shown(one: Mapping[str, Any]) -> str:
    if "words" in one:
        before, behind = (f"{one[key]} " if one.get(key) else "" for key in ("before", "behind"))
        return f"{before}[{one['words']}] {behind}".rstrip().replace("\n", " ")
    text = " ".join(one["item"].split())
    return text if len(text) <= _LONGEST or "region" in one else f"{text[:_LONGEST]}…"


def _shape(shape: Sequence[int | None]) -> str:
    return " x ".join("?" if size is None else str(size) for size in shape)
