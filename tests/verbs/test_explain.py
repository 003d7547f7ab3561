"""`dlcli explain`: texts and pictures, on the terminal, as a picture, a page and JSON; and what it refuses."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Outcome
from pages import PHONE, Browser, browser
from PIL import Image

from verbs.test_predict_base import home as home  # A base whose files are on a server.
from verbs.test_predict_base import published as published

Command = Callable[..., Outcome]

SHAPES = ROOT / "sample_data" / "shapes"
PICTURE = SHAPES / "circle" / "000.jpg"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def test_words_on_the_terminal(dlcli: Command, run: Path) -> None:
    outcome = dlcli("explain", run, "--text", "I LOVED it<br>all", "--text", "xyzzy")
    assert outcome.code == 0, outcome.err
    first, second = outcome.out.rstrip().split("\n\n")
    item, why, words, ngrams = first.splitlines()
    assert item == "I LOVED it<br>all"
    assert why.startswith("  why pos? probability 0.") and why.endswith(", exact")
    assert words.startswith("  words    LOVED +")
    assert "i loved +" in ngrams and "loved it +" in ngrams
    assert second.splitlines()[0] == "xyzzy"


def test_json_of_a_text(dlcli: Command, run: Path) -> None:
    text = "I LOVED it<br>all"
    outcome = dlcli("explain", run, "--text", text, "--target", "neg", "--json")
    result = json.loads(outcome.out)
    assert (result["schema"], result["method"], result["out"]) == (1, "exact", None)
    (one,) = result["explanations"]
    assert (one["item"], one["target"]) == (text, "neg")
    assert [text[word["start"] : word["stop"]] for word in one["words"]] == ["I", "LOVED", "it", "all"]
    assert one["words"][1]["weight"] < 0
    odds = math.log(one["probability"] / (1 - one["probability"]))
    assert one["start"] + sum(ngram["weight"] for ngram in one["ngrams"]) == pytest.approx(odds, abs=1e-4)


def test_a_page_of_texts(dlcli: Command, run: Path, chromium: Browser) -> None:
    Path("a.csv").write_text('text\n"<script>alert(1)</script> loved & <b>bored</b>"\n' + "dull and bad film\n" * 6)
    outcome = dlcli("explain", run, "a.csv", "--limit", "3", "--html", "words.html")
    assert (outcome.code, outcome.out) == (0, "3 explained in words.html\n"), outcome.err
    assert "3 of 7 items; --limit takes more" in outcome.err
    with chromium.open(Path("words.html"), width=PHONE, dark=True) as opened:
        opened.require_inert()
        opened.require_no_sideways_scroll()
        assert opened.page.locator("article").count() == 3
        assert opened.page.locator("mark.for").first.get_attribute("title").startswith("+")
        assert opened.contrast("mark.for") >= 4.5
    again = dlcli("explain", run, "a.csv", "--html", "words.html")
    assert (again.code, "words.html exists already. Add --force to replace it" in again.err) == (5, True)
    assert dlcli("explain", run, "a.csv", "--limit", "1", "--html", "words.html", "--force").code == 0


def test_pictures(dlcli: Command, shapes: Path, chromium: Browser) -> None:
    flags = ("--out", "saliency.png", "--html", "page.html", "--target", "square")
    outcome = dlcli("explain", shapes, SHAPES, "--limit", "3", *flags, "--method", "integrated")
    assert (outcome.code, outcome.out) == (0, "3 explained in saliency.png and page.html\n"), outcome.err
    assert Image.open("saliency.png").height > 3 * 320
    with chromium.open(Path("page.html")) as opened:
        opened.require_inert()
        assert opened.page.locator("article img").count() == 3
        widths = opened.page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
        assert min(widths) > 100
        assert "Why square" in opened.page.locator("figcaption").first.inner_text()


def test_json_of_a_picture(dlcli: Command, shapes: Path) -> None:
    outcome = dlcli("explain", shapes, PICTURE, "--json")
    (one,) = json.loads(outcome.out)["explanations"]
    assert (one["method"], len(one["heat"]), len(one["heat"][0])) == ("gradcam", 24, 24)
    assert min(map(min, one["heat"])) >= 0 < max(map(max, one["heat"]))
    shown = dlcli("explain", shapes, PICTURE).out.splitlines()
    assert shown[0] == str(PICTURE) and f"why {one['target']}? probability {one['probability']:.4f}" in shown[1]


def test_a_base_is_explained(dlcli: Command, home: Path) -> None:
    outcome = dlcli(
        "explain", "base:tiny", PICTURE, "--target", "thing_7", "--out", "a.png", "--layer", "conv_pw_3_relu"
    )
    assert outcome.code == 0, outcome.err
    assert "why thing_7? probability 0." in outcome.out and Image.open("a.png").size[0] > 600
    unknown = dlcli("explain", "base:tiny", PICTURE, "--target", "things_7", "--method", "occlusion")
    assert unknown.lines[-1] == "dlcli: --target: there is no class 'things_7'. Did you mean 'thing_7'?"


def test_an_ensemble_is_explained_by_occlusion(dlcli: Command, run: Path, small_run: Path) -> None:
    assert dlcli("ensemble", run, small_run, "--weights", "0.75,0.25", "--out", "both").code == 0
    (one,) = json.loads(dlcli("explain", "both", "--text", "I loved it, not bad", "--json").out)["explanations"]
    assert (one["method"], len(one["words"])) == ("occlusion", 6)
    assert one["logit"] == pytest.approx(math.log(one["probability"] / (1 - one["probability"])), abs=1e-4)
    refused = dlcli("explain", "both", "--text", "good", "--method", "exact")
    assert (refused.code, refused.out) == (2, "")
    assert refused.lines[-1].endswith("the run is an ensemble of several. Use occlusion, or explain a member")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("TEXT --text a --target poss", 2, "--target: there is no class 'poss'. Did you mean 'pos'?"),
        (
            "TEXT --text a --method gradcam",
            2,
            "--method gradcam is for pictures, and the run is of texts. Use exact",
        ),
        ("TEXT --text a --out a.png", 2, "--out is for pictures, and the run is of texts. Use --html FILE for a page"),
        ("TEXT --text a --layer conv_1", 2, "--layer is for pictures, and the run is of texts"),
        ("TEXT --text a --html a.txt", 2, "--html: expected a file ending in .html, got a.txt"),
        ("TEXT --text a --limit 0", 2, "--limit: expected at least 1"),
        ("TEXT", 2, "expected either DATA (a file, a folder, or - for stdin) or --text, with texts"),
        ("TEXT none.csv", 2, "none.csv does not exist"),
        ("PICTURES PICTURE --method exact", 2, "--method exact is for texts, and the run is of pictures. Use gradient"),
        ("PICTURES PICTURE --out a.jpg", 2, "--out: expected a file ending in .png, got a.jpg"),
        ("PICTURES PICTURE --target circel", 2, "--target: there is no class 'circel'. Did you mean 'circle'?"),
        ("PICTURES no.jpg", 3, "no.jpg"),
        ("PICTURES CUT", 3, "ends early or cannot be decoded"),
        ("PICTURES --text a", 2, "--text is for texts"),
        ("nowhere --text a", 2, "nowhere does not exist"),
        ("UNFINISHED --text a", 4, "was interrupted"),
        ("NEWER --text a", 4, "newer"),
    ],
)
def test_what_is_refused(dlcli: Command, run: Path, shapes: Path, arguments: str, code: int, words: str) -> None:
    Path("no.jpg").write_text("no picture")
    for name, fields in (("UNFINISHED", {"status": "interrupted"}), ("NEWER", {"schema": 99})):
        Path(name).mkdir()
        content = json.loads((run / "run.json").read_text()) | fields
        (Path(name) / "run.json").write_text(json.dumps(content))
    Path("cut.jpg").write_bytes(PICTURE.read_bytes()[:700])
    places = {"TEXT": run, "PICTURES": shapes, "PICTURE": PICTURE, "CUT": "cut.jpg"}
    outcome = dlcli("explain", *(places.get(word, word) for word in arguments.split()))
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert words in outcome.lines[-1]


def test_a_damaged_run_is_refused(dlcli: Command, shapes: Path) -> None:
    shutil.copytree(shapes, "copy")
    content = bytearray(Path("copy/model.keras").read_bytes())
    content[len(content) // 2] ^= 1
    Path("copy/model.keras").write_bytes(content)
    outcome = dlcli("explain", "copy", PICTURE)
    assert (outcome.code, outcome.out) == (4, "")
    assert "model.keras is not what was saved" in outcome.lines[-1]
