"""Where `pipelines/`, `pretrained/` and `sample_data/` are: inside an installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(relative: str) -> Path:
    """Return the path of a file or folder that ships with dlcli, such as `pipelines/quickstart.toml`.

    A wheel lays the folders into the package; an editable install reads the live files of the checkout.
    """
    inside = _PACKAGE / relative
    return inside if inside.exists() else _PACKAGE.parent / relative


def resolve_input(path: Path) -> Path:
    """Return `path`, or the shipped file of that name when `sample_data/...` is not where the user stands."""
    if not path.exists() and path.parts[:1] == ("sample_data",):
        shipped = resource(path.as_posix())
        if shipped.exists():
            return shipped
    return path
