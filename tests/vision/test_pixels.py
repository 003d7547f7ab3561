"""Items to pixels: every bad one is named, in its place."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from dlcli.core.backend import tf
from dlcli.core.progress import Silent
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.headers import BadPicture, read_header
from dlcli.vision.pixels import decode_items, graph_of
from dlcli.vision.plain import plain_format
from dlcli.vision.raw import BadItem
from vision.mutations import mutated
from vision.pictures import bomb_png, encode, every_kind, seen

KINDS = every_kind()
CONFIG = ImagePipelineConfig(image_size=(37, 53), color="rgb")


class Counted(Silent):
    count = 0

    def advance(self, count: int = 1) -> None:
        self.count += count


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    (path / "good.jpg").write_bytes(KINDS["png"])
    (path / "cut.jpg").write_bytes(KINDS["jpeg"][:700])
    (path / "text.jpg").write_text("no picture")
    (path / "empty.jpg").touch()
    (path / "bomb.png").write_bytes(bomb_png())
    (path / "gone.jpg").symlink_to(path / "nothing")
    return path


def test_bad_pictures_are_named_in_their_order_and_the_others_decoded(folder: Path) -> None:
    names = ["good.jpg", "cut.jpg", "text.jpg", "good.jpg", "empty.jpg", "bomb.png", "gone.jpg", "good.jpg"] * 20
    progress = Counted()
    pixels, bad = decode_items([str(folder / name) for name in names], CONFIG, progress=progress)
    assert progress.count == len(names)
    kinds = ["damaged", "not-a-picture", "empty-file", "bomb", "missing-file"]
    assert [row.kind for row in bad] == kinds * 20
    assert [Path(row.item).name for row in bad if isinstance(row, BadItem)] == [
        name for name in names if name != "good.jpg"
    ]
    assert str(bad[0]).startswith(f"{folder / 'cut.jpg'}: a damaged JPEG: it says 53x37 pixels")
    for number, name in enumerate(names):
        assert np.array_equal(pixels[number], seen(KINDS["png"])) if name == "good.jpg" else not pixels[number].any()


def test_a_mapped_file_is_filled(folder: Path, tmp_path: Path) -> None:
    out = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=(3, 37, 53, 3))
    pixels, bad = decode_items([str(folder / "good.jpg")] * 3, CONFIG, out=out, progress=Silent())
    assert pixels is out and not bad
    assert np.array_equal(out[2], seen(KINDS["png"]))


def test_after_ctrl_c_what_nobody_waits_for_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "white.jpg").write_bytes(encode(Image.new("RGB", (4000, 4000), "white"), "jpeg"))
    items = [str(tmp_path / "white.jpg")] * 8192
    out = np.zeros((8192, 8, 8, 1), np.uint8)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    # A shell that puts the tests into the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            decode_items(items, ImagePipelineConfig(image_size=(8, 8), color="grayscale"), out=out, progress=Silent())
    finally:
        signal.signal(signal.SIGINT, before)
    decoded = np.count_nonzero(out.any(axis=(1, 2, 3)))
    assert decoded < 256, "of two chunks, which had begun"


@pytest.mark.parametrize(
    ("color", "kinds"),
    [
        ("rgb", {"jpeg", "jpeg 4:4:4", "jpeg progressive", "jpeg gray", "png"}),
        ("grayscale", {"jpeg gray", "png gray", "png bits"}),
    ],
)
def test_a_decoder_alone_gives_the_same_pixels(
    color: Literal["rgb", "grayscale"], kinds: set[str], tmp_path: Path
) -> None:
    """Of pictures that need nothing but decoding one op is run, whatever stands beside them in a chunk."""
    config = CONFIG.model_copy(update={"color": color})
    plain = {kind: plain_format(data, read_header(data), config) for kind, data in KINDS.items()}
    assert {kind for kind, found in plain.items() if found} == kinds
    pictures = [*KINDS.values(), *(data for _, data in mutated(1000))]
    items = []
    for number, data in enumerate(pictures):
        items.append(str(tmp_path / str(number)))
        Path(items[-1]).write_bytes(data)
    pixels, bad = decode_items(items, config, progress=Silent())
    named = {one.item for one in bad if isinstance(one, BadItem)}
    graph = graph_of(config)
    for number, (item, data) in enumerate(zip(items, pictures, strict=True)):
        try:
            read_header(data)
            found = graph(tf.constant([data])).numpy()[0]
        except (BadPicture, tf.errors.OpError):
            assert item in named
        else:
            assert item not in named
            assert np.array_equal(pixels[number], found)


def test_no_picture_is_too_damaged_to_be_decoded_or_named(tmp_path: Path) -> None:
    """1,000 mutations; `tests/trust/mutate.py` does more, one by one, and measures memory and time."""
    pictures = mutated(1000)
    items = []
    for number, (_, data) in enumerate(pictures):
        items.append(str(tmp_path / f"{number}.jpg"))
        Path(items[-1]).write_bytes(data)
    config = ImagePipelineConfig(image_size=(24, 32), resize="letterbox", color="rgb")
    pixels, bad = decode_items(items, config, progress=Silent())
    named = {row.item: row for row in bad if isinstance(row, BadItem)}
    assert len(named) == len(bad)
    for number, (_, data) in enumerate(pictures):
        try:
            read_header(data)
        except BadPicture as error:
            assert named[items[number]].what == error.what
        if items[number] in named:
            assert not pixels[number].any()
            assert named[items[number]].what and named[items[number]].hint
    assert 500 < len(bad) < 900
