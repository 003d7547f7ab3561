"""HTML pages that stand alone: one file, no network, no script unless a page brings one, every name escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from dlcli.errors import printable

_TEMPLATES = Path(__file__).resolve().parent / "templates"
# A file name that is not UTF-8 reads as lone surrogates, which no page can hold.
_SURROGATES = re.compile("[\ud800-\udfff]")


def render(template: str, *, script: str = "", **values: Any) -> str:
    """Fill a template that extends `page.html`.

    Text is escaped and its control characters are replaced; `markupsafe.Markup` goes in as it is. The page's
    Content-Security-Policy forbids everything but its own styles, pictures in `data:` addresses, and `script`.

    Args:
        template: name of a file in `templates/`.
        script: JavaScript of ours that the page needs, never made of data.
        **values: what the template names; one that is missing is an error.

    Returns:
        the page.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"'sha256-{digest}'" if script else "'none'"
    return (
        _environment()
        .get_template(template)
        .render(script=markupsafe.Markup(script), script_policy=markupsafe.Markup(policy), **values)  # noqa: S704 - ours.
    )


def plain(text: str) -> str:
    """Return a text with control characters and lone surrogates replaced, so that a file can hold it."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", printable(text))


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, markupsafe.Markup) else value
