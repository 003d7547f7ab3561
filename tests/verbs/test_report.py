"""`dlcli report`: the page says what evaluate says, and nothing of the data does anything in it."""

from __future__ import annotations

import json
import re
import shutil
import webbrowser
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REVIEWS_TEST, ROOT, Outcome, call
from markdown_it import MarkdownIt
from pages import PHONE, Browser, browser

from verbs.helpers import write_csv

Command = Callable[..., Outcome]
SCRIPT = "<script>alert('class')</script>"
IMAGE = '"><img src=http://127.0.0.1:9/x onerror=alert(1)>'
TURNED = "\u202eright to left\nsecond line ``` | [a](b)"
SHAPES = ROOT / "sample_data" / "shapes"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run whose classes and texts are markup, a part of them with the wrong label."""
    folder = tmp_path_factory.mktemp("evil") / "<b>run & 'co'"
    folder.mkdir()
    words = {SCRIPT: "apple", IMAGE: "bread", TURNED: "cheese"}
    names = list(words)
    rows = [
        {"text": f"{words[name]} {n} {name}", "label": name if n % 5 else names[names.index(name) - 1]}
        for n in range(30)
        for name in names
    ]
    path = folder / "<i>r"
    outcome = call("train-text", write_csv(folder / "d.csv", rows), "--epochs", "2", "--out", path)
    assert outcome.code == 0, outcome.err
    return path


def reported(*arguments: object) -> dict[str, Any]:
    outcome = call("report", *arguments, "--json", "-q")
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def test_the_numbers_are_those_of_evaluate(dlcli: Command, run: Path, tmp_path: Path) -> None:
    found = reported(run, REVIEWS_TEST, "--out", tmp_path / "r.html", "--bootstrap", 200)
    expected = json.loads(dlcli("evaluate", run, REVIEWS_TEST, "--json", "--bootstrap", 200).out)
    for key in ("n", "accuracy", "metrics", "classes", "confusion", "baselines", "verdict"):
        assert found[key] == expected[key], key
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert found["bytes"] == len(page.encode()) < 2_000_000
    accuracy = expected["metrics"]["accuracy"]
    for number in (accuracy["value"], accuracy["low"], accuracy["high"], expected["metrics"]["ece"]["value"]):
        assert f"{number:.4f}" in page
    for row in expected["classes"]:
        assert all(f"{row[kind]:.4f}" in page for kind in ("precision", "recall", "f1"))
    for section in ("scores", "data", "learning", "classes", "curves", "mistakes", "settings", "again"):
        assert f'id="{section}"' in page
    for chart in ("loss", "scores", "roc", "pr", "calibration"):
        assert f'id="chart-{chart}-title"' in page
    assert "(line " not in page and page.count('class="card"') >= 15 and "<mark" in page


def test_without_data_it_is_about_the_validation_items_and_lies_in_the_run(
    dlcli: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(shown.append(address)))
    shutil.copytree(run, "R")
    record = json.loads(Path("R/run.json").read_text(encoding="utf-8"))
    found = reported("R")
    assert (found["n"], found["report"]) == (record["data"]["validation"], "R/report.html")
    assert found["accuracy"] == pytest.approx(record["scores"]["accuracy"])
    assert f"{record['data']['training']:,} items to train on" in Path("R/report.html").read_text(encoding="utf-8")
    outcome = dlcli("report", "R", "--open")
    assert outcome.code == 0 and shown == [(tmp_path / "R/report.html").as_uri()]
    assert "warning: no browser could be started: open R/report.html yourself" in outcome.lines
    # It took the place of the first one; the others lie beside it, and the run is as it was.
    for form, name in (("markdown", "report.md"), ("model-card", "model-card.md")):
        assert reported("R", "--format", form)["report"] == f"R/{name}"
    assert json.loads(Path("R/run.json").read_text(encoding="utf-8")) == record
    assert not [path for path in Path("R").iterdir() if ".tmp" in path.name]


def test_data_that_is_gone_is_said_and_what_needs_it_is_left_out(dlcli: Command, run: Path) -> None:
    shutil.copytree(run, "R")
    shutil.rmtree("R/baselines", ignore_errors=True)
    record = json.loads(Path("R/run.json").read_text(encoding="utf-8"))
    record["config"]["data"] = "/gone.csv"
    Path("R/run.json").write_text(json.dumps(record), encoding="utf-8")
    found = reported("R")
    page = Path("R/report.html").read_text(encoding="utf-8")
    assert found["mistakes"] == [] and [b["name"] for b in found["baselines"]] == ["majority"]
    assert "the training data cannot be read again: /gone.csv does not exist" in page
    assert "The items themselves are not at hand" in page and 'id="chart-roc-title"' in page


def test_names_with_markup_are_inert(dlcli: Command, chromium: Browser, evil: Path, tmp_path: Path) -> None:
    assert reported(evil, "--out", tmp_path / "r.html")["mistakes"]
    for width, dark in ((PHONE, False), (PHONE, True), (1280, False)):
        with chromium.open(tmp_path / "r.html", width=width, dark=dark) as opened:
            opened.require_inert()
            opened.require_no_sideways_scroll()
            page = opened.page
            assert page.title() == "Report on <i>r"
            assert page.locator("h1 bdi").inner_text() == "<i>r"
            assert page.locator("#classes ~ .scroll th[scope=row] bdi").all_text_contents()[0] in (
                SCRIPT,
                IMAGE,
                TURNED,
            )
            assert page.locator("script, img, iframe, h1 i, h1 b").count() == 0
            for selector in ("h1", ".about", ".good, .bad", "td", "thead th", ".card p", "mark", "figcaption", "nav a"):
                assert opened.contrast(selector) >= 4.5, (selector, width, dark)
            ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
            assert len(ids) == len(set(ids))
            assert page.locator("svg:not([role=img])").count() == 0


def test_a_page_of_pictures(dlcli: Command, chromium: Browser, shapes: Path, tmp_path: Path) -> None:
    names = sorted(folder.name for folder in SHAPES.iterdir() if folder.is_dir())
    for number, name in enumerate(names):  # Each in the folder of another class.
        target = tmp_path / "test" / names[number - 1]
        target.mkdir(parents=True)
        for copy, source in enumerate(sorted((SHAPES / name).iterdir())[:4]):
            shutil.copy(source, target / f"<img src=x onerror=alert({copy})>\u202e.png")
    found = reported(shapes, tmp_path / "test", "--out", tmp_path / "r.html")
    assert found["mistakes"] and found["bytes"] < 2_000_000
    with chromium.open(tmp_path / "r.html", width=PHONE) as opened:
        opened.require_inert()
        opened.require_no_sideways_scroll()
        pictures = opened.page.locator("img")
        assert pictures.count() >= len(found["mistakes"])
        for picture in pictures.all():
            assert picture.get_attribute("src").startswith("data:image/") and picture.get_attribute("alt")
            assert picture.evaluate("element => element.complete && element.naturalWidth > 0")
        assert "onerror=alert(" in opened.page.locator(".where").first.inner_text()


def test_markdown_and_model_card_are_escaped(dlcli: Command, evil: Path, tmp_path: Path) -> None:
    for form in ("markdown", "model-card"):
        path = tmp_path / f"{form}.md"
        reported(evil, "--format", form, "--out", path)
        text = path.read_text(encoding="utf-8")
        head, body = text.split("---\n", 2)[1:] if form == "model-card" else ("", text)
        html = MarkdownIt("commonmark").enable("table").render(body)
        tags = set(re.findall(r"</?([a-z0-9]+)", html))
        assert tags <= {
            "h1",
            "h2",
            "p",
            "ul",
            "li",
            "em",
            "strong",
            "code",
            "pre",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        } | {"details", "summary"}
        assert "\u202e" not in text and f"<code>{escape(SCRIPT, quote=False)}</code>" in html
        rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
        assert len(rows) > 6 and {len(re.findall("<t[hd]", row)) for row in rows} <= {2, 3, 4, 5, 6}
    known = yaml.safe_load(head)
    assert known["pipeline_tag"] == "text-classification" and known["model-index"][0]["name"] == "<i>r"
    assert {"license", "language", "datasets"}.isdisjoint(known)


def test_a_run_without_validation_outputs_needs_data(dlcli: Command, run: Path) -> None:
    """Such as an ensemble whose members validated on different items."""
    shutil.copytree(run, "R")
    Path("R/validation.npz").unlink()
    record = json.loads(Path("R/run.json").read_text(encoding="utf-8"))
    del record["hashes"]["validation.npz"]
    Path("R/run.json").write_text(json.dumps(record), encoding="utf-8")
    refused(dlcli("report", "R"), 2, "R keeps no validation outputs", "Name labelled DATA")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"status": "interrupted"}, 4, ["R was interrupted", "dlcli train-text --resume R"]),
        ({"hashes": {}}, 4, ["R is refused: its record does not vouch for"]),
        ({"schema": 2}, 4, ["damaged or from a newer dlcli"]),
    ],
)
def test_a_run_that_cannot_be_judged(
    dlcli: Command, run: Path, change: dict[str, Any], code: int, words: list[str]
) -> None:
    shutil.copytree(run, "R")
    record = json.loads(Path("R/run.json").read_text(encoding="utf-8"))
    Path("R/run.json").write_text(json.dumps(record | change), encoding="utf-8")
    refused(dlcli("report", "R"), code, *words)
    assert not Path("R/report.html").exists()


def test_other_labels_and_places_that_are_taken(dlcli: Command, run: Path) -> None:
    Path("other.csv").write_text("text,label\nso so,mixed\nfine,pos\n", encoding="utf-8")
    Path("there.html").write_text("mine", encoding="utf-8")
    refused(dlcli("report", run, "other.csv", "--out", "r.html"), 3, "other.csv", "'mixed'", "neg, pos")
    refused(dlcli("report", run, "--out", "there.html"), 5, "there.html exists already", "--force")
    refused(dlcli("report", run, "--out", "r.pdf"), 2, "--out: expected a file ending in .html, got r.pdf")
    refused(dlcli("report", run, "--format", "markdown", "--open"), 2, "--open shows a page", "markdown")
    refused(dlcli("report", run, "nowhere.csv"), 2, "nowhere.csv does not exist")
    refused(dlcli("report", "nowhere"), 2, "nowhere does not exist")
    assert Path("there.html").read_text(encoding="utf-8") == "mine" and not Path("r.html").exists()


def refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.err
    assert outcome.out == "" and all(word in outcome.lines[-1] for word in words), outcome.err
