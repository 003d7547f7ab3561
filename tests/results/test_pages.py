from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import markupsafe
import pytest
from pages import Browser, browser

from dlcli.core.panels import Curve, Panel, figure
from dlcli.core.scales import linear
from dlcli.results import pages
from dlcli.results.svg import inline

PAGE = '{% extends "page.html" %}{% block title %}{{ t }}{% endblock %}{% block content %}<p>{{ t }}</p>{% endblock %}'


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one more template, `test.html`."""
    environment = pages._environment()
    loader = jinja2.ChoiceLoader([jinja2.DictLoader({"test.html": PAGE}), environment.loader])
    monkeypatch.setattr(environment, "loader", loader)


@pytest.mark.usefixtures("templates")
def test_text_is_escaped_and_control_characters_are_replaced() -> None:
    page = pages.render("test.html", t="<b>\x00\x1b\udcff & \"'")
    assert "<p>&lt;b&gt;��� &amp; &#34;&#39;</p>" in page
    assert "<p><i>ours</i></p>" in pages.render("test.html", t=markupsafe.Markup("<i>ours</i>"))
    with pytest.raises(jinja2.UndefinedError):
        pages.render("test.html")


@pytest.mark.usefixtures("templates")
def test_only_our_own_script_runs_and_nothing_is_fetched(chromium: Browser, tmp_path: Path) -> None:
    evil = '<script>document.title = "evil"</script><img src="http://127.0.0.1:9/x">'
    (tmp_path / "page.html").write_text(
        pages.render("test.html", t=markupsafe.Markup(evil), script="document.body.dataset.ours = 'ran'")
    )
    with chromium.open(tmp_path / "page.html") as opened:
        assert opened.page.evaluate("document.body.dataset.ours") == "ran"
        assert opened.page.title() != "evil"
        assert len(opened.messages) == 2 and all("Content Security Policy" in message for message in opened.messages)
        with pytest.raises(AssertionError):
            opened.require_inert()


def test_a_chart_has_no_address_no_style_of_its_own_and_its_own_ids() -> None:
    curve = Curve('<b> id="x" #0072B2 url(#y)', [0, 1], [0.123456, 1], "#0072B2")
    panel = Panel(title="T", x_label="x", y_label="y", curves=[curve], x=linear([0, 1]), y=linear([0, 1]))
    charts = [inline(figure([panel]), name=name, title="<t>", description="d") for name in ("one", "two")]
    ids = [found for chart in charts for found in re.findall(r'\bid="([^"]+)"(?=[^<>]*>)', chart)]
    assert len(ids) == len(set(ids)) and all(found.startswith(("one-", "two-")) for found in ids)
    for chart in charts:
        assert "http" not in chart and "<style" not in chart and "metadata" not in chart
        assert 'role="img"' in chart and "&lt;t&gt;</title>" in chart
        assert "stroke: var(--first)" in chart and '&lt;b&gt; id="x" #0072B2 url(#y)</text>' in chart
        assert not re.search(r"\d\.\d{4}", chart)
