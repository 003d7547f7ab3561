"""The runner that stands beside an export: the graph's ids exactly, its pixels within one, without TensorFlow."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REVIEWS
from verbs.helpers import read_csv
from vision.pictures import deep_png, encode, every_kind, picture

from dlcli.core.backend import tf
from dlcli.serving import preprocessing
from dlcli.serving.runner import Pictures, Texts
from dlcli.text.config import TextPipelineConfig
from dlcli.text.pipeline import TextPipeline
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.decode import resized
from dlcli.vision.pixels import graph_of

_PIECES = (
    "<br />|&amp;|&#39;|&#x41;|<3|a < b|http://x.y/z?q=1|WWW.abc.com|HTTPſ://q|xhttp://y|ΑΣ|ΟΔΟΣ.|Σ|ΑΣ'Α|İ|I|ı|ſ|K|Ì|ß|ﬁ"
    "|é|e\u0301|\u0301|ÅŞ|12|٣٤|½|Ⅷ|_|a_b| |\t|\n|\x0b|\r|\0|\u200b|\xa0|\x85|\ufeff|\u2028|\x1c|don't|U.S.|👍🏽"
    "|日本語|한국어|ไทย|good|film|The|NOT|\u2c2f|\U00010570|\U0001e900|\U00011f02|ǅ|\u0345|\xad"
)


@functools.cache
def nasty() -> list[str]:
    """Return texts of odd pieces, of random characters, and every character of the first planes."""
    draws = random.Random(0)
    pieces = ["".join(draws.choices(_PIECES.split("|"), k=draws.randrange(12))) for _ in range(400)]
    codes = [code for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    drawn = ["".join(map(chr, draws.choices(codes, k=20))) for _ in range(300)]
    every = [" ".join(map(chr, codes[start : start + 300])) for start in range(0, len(codes), 300)]
    return pieces + drawn + every


@functools.cache
def reviews() -> list[str]:
    return [row["text"] for row in read_csv(REVIEWS)[:200]]


CONFIGS: list[dict[str, Any]] = [
    {"features": "binary", "ngrams": 2},
    {"features": "counts", "ngrams": "2-3", "punctuation": "drop", "numbers": "mask"},
    {"features": "tfidf", "stop_words": "sklearn", "stem": "porter", "max_features": 3000},
    {"features": "ids", "max_length": 20, "padding": "pre", "truncating": "pre", "lowercase": False},
    {
        "features": "ids",
        "max_length": 10,
        "truncating": "post",
        "strip_accents": True,
        "strip_urls": True,
        "min_count": 2,
    },
    {"features": "ids", "strip_html": False, "min_word_length": 3, "numbers": "drop"},
    {"features": "counts", "analyzer": "char", "ngrams": "1-2", "min_df": 2},
]


@pytest.mark.parametrize("settings", CONFIGS, ids=lambda settings: ",".join(settings))
def test_ids_are_the_graph_s(settings: dict[str, Any], tmp_path: Path) -> None:
    texts = nasty() + reviews()
    pipeline, _ = TextPipeline.adapt(texts[::2], TextPipelineConfig(**settings))
    described = json.loads(json.dumps(preprocessing.write(pipeline, tmp_path)))
    runner, searching = Texts(described, tmp_path), Texts(described, tmp_path)
    runner.expect(len(texts))
    expected = [tensor.numpy() for tensor in tf.nest.flatten(pipeline.graph(tf.constant(texts)))]
    found = runner.arrays(texts)
    assert [array.dtype for array in found] == [array.dtype for array in expected]
    np.testing.assert_array_equal(found[0], expected[0])
    assert (expected[0] > 1).any(axis=1).mean() > 0.4
    if len(found) > 1:
        np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    # Of a few texts the n-grams are searched for in the file, of many it is read.
    for text in texts[:40]:
        assert searching.ids(text)[0] == runner.ids(text)[0]


def test_texts_without_a_word(tmp_path: Path) -> None:
    pipeline, _ = TextPipeline.adapt(["good film", "film"], TextPipelineConfig(features="tfidf"))
    runner = Texts(preprocessing.write(pipeline, tmp_path), tmp_path)
    ids, values = runner.arrays(["", " ", "xyzzy", "film"])
    np.testing.assert_array_equal(ids, [[0], [0], [0], [1]])
    np.testing.assert_array_equal(values, [[0], [0], [0], [1]])


@functools.cache
def pictures() -> dict[str, bytes]:
    found = every_kind()
    random_ = np.random.default_rng(1)
    for color, channels in ((0, 1), (4, 2), (2, 3), (6, 4)):
        found[f"deep {color}"] = deep_png(random_.integers(0, 2**16, (39, 47, channels)), color)
    for side in (150, 330, 700, 1300):  # JPEG is decoded whole, at a half, a quarter, an eighth.
        found[f"jpeg of {side}"] = encode(picture("RGB", height=side, width=side * 4 // 3), "jpeg", quality=90)
    found["a frame that does not fill its gif"] = _padded_gif()
    found["tiny"] = encode(picture("RGB").crop((0, 0, 2, 1)), "png")
    return found


def _padded_gif() -> bytes:
    small = bytearray(encode(picture("P"), "gif"))
    small[6:10] = (60).to_bytes(2, "little") + (50).to_bytes(2, "little")
    return bytes(small)


@pytest.mark.parametrize(("size", "how", "color"), [((37, 53), "stretch", "rgb"), ((64, 30), "crop", "grayscale")])
def test_pixels_are_the_graph_s_within_one(size: tuple[int, int], how: Any, color: Any) -> None:
    graph = graph_of(ImagePipelineConfig(image_size=size, resize=how, color=color))
    runner = Pictures({"image_size": size, "resize": how, "color": color})
    differences = []
    for name, data in pictures().items():
        differences.append(_difference(runner.pixels(data), graph(tf.constant([data])).numpy()[0]))
        assert differences[-1].max() <= 1, name
    # Only where a half is rounded: a byte in a thousand.
    assert np.concatenate(differences).mean() < 1e-3


@pytest.mark.parametrize("size", [(20, 90), (90, 20), (64, 64)])
@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
def test_resized_pictures_are_the_graph_s_within_one(size: tuple[int, int], how: Any) -> None:
    image = picture("RGB", height=97, width=131)
    config = ImagePipelineConfig(image_size=size, resize=how, color="rgb")
    expected = resized(tf.constant(np.asarray(image)), config).numpy()
    found = Pictures({"image_size": size, "resize": how, "color": "rgb"}).pixels(encode(image, "png"))
    assert _difference(found, expected).max() <= 1
    assert _difference(found, expected).mean() < 1e-2


def _difference(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    return np.abs(found.astype(np.int64) - expected.astype(np.int64)).ravel()


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    runner = Pictures({"image_size": (8, 8), "resize": "crop", "color": "rgb"})
    with pytest.raises(ValueError, match=r"x\.jpg cannot be decoded"):
        runner.arrays([str(tmp_path / "x.jpg")])
    with pytest.raises(ValueError, match="picture 2 cannot be decoded"):
        runner.arrays([encode(picture(), "png"), pictures()["png"][:60]])
