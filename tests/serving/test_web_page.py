"""The page of an export: the graph's ids and nearly its pixels, made in a browser; and the page itself, run there."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome, call
from pages import DESKTOP, PHONE, Browser, browser
from vision.photographs import encoded, photograph
from vision.pictures import every_kind

from dlcli import resources
from dlcli.core.backend import tf
from dlcli.core.files import sha256
from dlcli.core.progress import Silent
from dlcli.errors import SurroundingsError
from dlcli.serving import preprocessing, web_page
from dlcli.text.config import TextPipelineConfig
from dlcli.text.pipeline import TextPipeline
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.pixels import graph_of
from serving.test_runner import CONFIGS, nasty, reviews

Command = Callable[..., Outcome]

SCRIPTS = Path(web_page.__file__).with_name("web")
HOSTILE = '<img src=x onerror="alert(1)">'
# Chromium turns no WebP by its EXIF, and takes the colour for transparent that a PNG says is: the graph does otherwise.
OTHERWISE = {"webp exif 3", "webp exif 6", "webp exif 8", "png rgb clear"}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def scripted(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return an empty page with the scripts that make a model's inputs."""
    empty = tmp_path_factory.mktemp("empty") / "page.html"
    empty.write_text("<!doctype html><link rel=icon href=data:,>", encoding="utf-8")
    with chromium.open(empty) as opened:
        for name in ("texts.js", "pictures.js"):
            opened.page.add_script_tag(content=(SCRIPTS / name).read_text(encoding="utf-8"))
        opened.page.evaluate(
            """() => {
              window.bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
              window.texts = (settings, files, items) => {
                const contents = new Map(Object.entries(files).map(([name, text]) => [name, bytes(text)]));
                const made = new Texts(settings, contents);
                return items.map((item) => made.arrays(item).map((array) => Array.from(array.data)));
              };
              window.pixels = async (settings, text) =>
                Array.from(await new Pictures(settings).pixels(new Blob([bytes(text)])));
            }"""
        )
        yield opened.page


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@functools.cache
def some_texts() -> list[str]:
    """Return pieces, random characters, a tenth of all characters, and reviews."""
    odd = nasty()
    return [*odd[:700:2], *odd[700::10], *reviews(), "", " ", "İ", "ΟΔΟΣ ΣΑΣ", "a" * 3000]


@pytest.mark.parametrize("settings", CONFIGS[::2], ids=lambda settings: ",".join(settings))
def test_ids_are_the_graph_s(scripted: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    texts = some_texts()
    pipeline, _ = TextPipeline.adapt(texts[::2], TextPipelineConfig(**settings))
    described = json.loads(json.dumps(preprocessing.write(pipeline, tmp_path)))
    files = {file.name: in_base64(file.read_bytes()) for file in tmp_path.iterdir()}
    found = scripted.evaluate("([settings, files, items]) => texts(settings, files, items)", [described, files, texts])
    expected = pipeline.ids(tf.constant(texts))
    wanted = expected.ids.to_list()
    assert [[one for one in arrays[0] if one] for arrays in found] == wanted
    if expected.values is not None:
        for arrays, values in zip(found, expected.values.to_list(), strict=True):
            np.testing.assert_allclose(arrays[1][: len(values)], values, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "how", "color"),
    [((64, 30), "crop", "grayscale"), ((40, 64), "letterbox", "rgb")],
)
def test_pixels_are_nearly_the_graph_s(scripted: Any, size: tuple[int, int], how: Any, color: Any) -> None:
    graph = graph_of(ImagePipelineConfig(image_size=size, resize=how, color=color))
    settings = {"image_size": size, "resize": how, "color": color}
    pictures = {name: data for name, data in every_kind().items() if name not in OTHERWISE}
    if color == "grayscale":  # Some, as it takes its time.
        pictures = dict(list(pictures.items())[::4])
    for side in (260, 520):  # The graph decodes a large JPEG at a half, a quarter, an eighth; its colours too.
        pictures[f"large jpeg, {side}"] = encoded(
            photograph(side, height=side, width=side * 4 // 3), "JPEG", quality=90
        )
    for name, data in pictures.items():
        expected = graph(tf.constant([data])).numpy()[0].astype(np.int64)
        found = scripted.evaluate("([settings, text]) => pixels(settings, text)", [settings, in_base64(data)])
        difference = np.abs(np.reshape(found, expected.shape) - expected)
        assert difference.max() <= (4 if name.startswith("large") else 1), name
        assert difference.mean() < 0.3, name


# As the user's own cache is before a test takes its place.
_HOME = resources.home()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a DLCLI_HOME with the browser's runtime in it; skip where it cannot be had."""
    kept = _HOME / "runtimes" / web_page.RUNTIME.name
    if not kept.exists():
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("dlcli.core.transfer.PAUSES", ())
                web_page.obtain_runtime(Silent())
        except SurroundingsError as error:
            pytest.skip(f"there is no onnxruntime-web: {error}")
    own = tmp_path_factory.mktemp("home")
    (own / "runtimes").mkdir()
    (own / "runtimes" / kept.name).symlink_to(kept)
    return own


@pytest.fixture(scope="module")
def page(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a run on two classes, one of which has a hostile name."""
    pytest.importorskip("tf2onnx")
    folder = tmp_path_factory.mktemp("page")
    rows = [
        f"good film number {n},pos" if n % 2 else f'bad film number {n},"{HOSTILE.replace(chr(34), chr(34) * 2)}"'
        for n in range(40)
    ]
    (folder / "data.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert call("train-text", folder / "data.csv", "--ngrams", "2", "--epochs", "2", "--out", folder / "run").code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLCLI_HOME", str(home))
        flags = ("--format", "onnx", "--web", "--verify", "8", "--out", folder / "page")
        outcome = call("export", folder / "run", *flags)
    assert outcome.code == 0, outcome.err
    assert f"page      {folder / 'page' / 'index.html'}" in outcome.out
    return folder / "page" / "index.html"


@pytest.mark.parametrize(("width", "dark"), [(PHONE, True), (DESKTOP, False)])
def test_the_page_answers_as_the_run_from_a_disk(chromium: Browser, page: Path, width: int, dark: bool) -> None:
    from dlcli.serving.predictor import Predictor

    predictor = Predictor(page.parent.parent / "run")
    text = "good film, bad film <b>number</b> 3"
    with chromium.open(page, width=width, dark=dark) as opened:
        opened.page.wait_for_selector("#text-input:not([hidden])", timeout=60_000)
        opened.page.fill("#text", text)
        opened.page.wait_for_selector("#answer:not([hidden])")
        names = opened.page.locator(".name").all_text_contents()
        numbers = [float(shown.split()[0]) for shown in opened.page.locator(".number").all_text_contents()]
        (expected,) = predictor.outputs([text])
        assert dict(zip(names, numbers, strict=True)) == {
            label: pytest.approx(100 * share, abs=0.051)
            for label, share in zip(predictor.labels, expected, strict=True)
        }
        assert set(names) == {"pos", HOSTILE}
        assert opened.page.locator("#answer img").count() == 0
        opened.require_no_sideways_scroll()
        for part in ("#about", ".number", "h1", "footer p"):
            assert opened.contrast(part) >= 4.5, part
        # Only the folder's own files, and the runtime's script out of the page's own memory.
        folder = page.parent.as_uri()
        assert all(address.startswith((f"{folder}/web/", "blob:")) for address in opened.requests), opened.requests
        assert (opened.messages, opened.errors, opened.dialogs) == ([], [], [])


def test_the_card_vouches_for_the_page(page: Path) -> None:
    card = json.loads((page.parent / "model.json").read_text(encoding="utf-8"))
    assert card["hashes"]["index.html"] == sha256(page)
    assert {"web/page.js", "web/ort.wasm.min.js", "web/model.onnx.js"} <= card["hashes"].keys()
    assert "MIT License" in (page.parent / "web" / "onnxruntime-web.txt").read_text(encoding="utf-8")


def test_what_cannot_be_had_is_said_before_any_work(dlcli: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.core.transfer.PAUSES", ())
    pytest.importorskip("tf2onnx")
    outcome = dlcli("export", run, "--format", "onnx", "--web", "--mirror", "http://127.0.0.1:9/x", "--out", "o")
    assert (outcome.code, web_page.RUNTIME.name in outcome.err) == (5, True), outcome.err
    assert not Path("o").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--format keras --web", "--web goes with --format onnx or all, not keras"),
        ("--format onnx --mirror http://x", "--mirror goes with --web"),
    ],
)
def test_bad_flags(dlcli: Command, flags: str, words: str) -> None:
    outcome = dlcli("export", "r", *flags.split())
    assert (outcome.code, words in outcome.err) == (2, True), outcome.err
