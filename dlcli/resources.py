"""Where files are: those that ship with dlcli, those that it keeps for the user, and the inputs that a user names.

`pipelines/`, `pretrained/` and `sample_data/` are inside an installed package, or beside it in a checkout.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dlcli.errors import SurroundingsError

_PACKAGE = Path(__file__).resolve().parent


def resource(relative: str) -> Path:
    """Return the path of a file or folder that ships with dlcli, such as `pipelines/quickstart.toml`.

    A wheel lays the folders into the package; an editable install reads the live files of the checkout.
    """
    inside = _PACKAGE / relative
    return inside if inside.exists() else _PACKAGE.parent / relative


def home() -> Path:
    """Return the folder of what dlcli fetches for this user; it need not exist yet.

    `DLCLI_HOME`, or `dlcli` in the user's cache: `XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory Specification),
    `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.

    Raises:
        SurroundingsError: nobody says where this user's files are.
    """
    try:
        if own := os.environ.get("DLCLI_HOME"):
            return Path(own).expanduser().absolute()
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "")
        if not cache.is_absolute():  # The specification has relative ones ignored.
            cache = _platform_cache()
        return cache / "dlcli"
    except RuntimeError:
        hint = "Set DLCLI_HOME to a folder that you can write"
        raise SurroundingsError("this user has no home directory to keep data in", hint=hint) from None


def _platform_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / ".cache"


def resolve_input(path: Path) -> Path:
    """Return the path of the input that a user named.

    Args:
        path: `data:NAME` or `data:NAME/PART` is a data set in the user's cache; `sample_data/...` is the shipped file
            where the user has none of that name; anything else is what it says.

    Raises:
        UsageError: a data set that is not known, or not on this machine.
    """
    from dlcli.datasets import is_reference, located

    if is_reference(path):
        return located(path)
    if not path.exists() and path.parts[:1] == ("sample_data",):
        shipped = resource(path.as_posix())
        if shipped.exists():
            return shipped
    return path
