"""One function from encoded picture to pixels: what Pillow sees, for every format, mode and orientation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.core.backend import tf
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.decode import decode_batch, decode_native
from dlcli.vision.exif import number
from dlcli.vision.pixels import graph_of
from vision.pictures import bomb_png, deep_png, encode, every_kind, picture, seen

KINDS = every_kind()
# TensorFlow's reader passes over a transparent colour of a picture that has no palette.
SAME = sorted(KINDS.keys() - {"png rgb clear"})


@cache
def native(channels: int) -> Any:
    spec = [tf.TensorSpec((), tf.string)]
    return tf.function(lambda data: decode_native(data, channels=channels), input_signature=spec, autograph=False)


def decoded(data: bytes, *, channels: int = 3) -> np.ndarray[Any, Any]:
    return native(channels)(tf.constant(data)).numpy().astype(np.int64)


@pytest.mark.parametrize("kind", SAME)
def test_colours_are_pillow_s(kind: str) -> None:
    assert np.array_equal(decoded(KINDS[kind]), seen(KINDS[kind]))


@pytest.mark.parametrize("kind", SAME)
def test_luma_is_pillow_s_within_one(kind: str) -> None:
    wanted = seen(KINDS[kind], channels=1).astype(np.int64)
    assert np.abs(decoded(KINDS[kind], channels=1) - wanted).max() <= 1


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_of_16_bits_the_upper_8_are_kept(color: int, channels: int) -> None:
    values = np.random.default_rng(1).integers(0, 2**16, (9, 7, channels))
    high = (values >> 8).astype(np.float64)
    colors = np.repeat(high[..., :1], 3, -1) if channels <= 2 else high[..., :3]
    if channels in (2, 4):
        alpha = high[..., -1:] / 255
        colors = colors * alpha + 255 * (1 - alpha)
    assert np.abs(decoded(deep_png(values, color)) - colors).max() <= 0.51


def test_a_frame_that_does_not_fill_its_gif_lies_on_white() -> None:
    small = bytearray(encode(picture("P"), "gif"))
    small[6:10] = (60).to_bytes(2, "little") + (50).to_bytes(2, "little")
    found = decoded(bytes(small))
    assert found.shape == (50, 60, 3)
    assert np.array_equal(found[:37, :53], seen(KINDS["gif"]))
    assert (found[37:] == 255).all() and (found[:, 53:] == 255).all()


def test_bytes_of_zero_at_the_end_are_kept() -> None:
    data = encode(Image.new("RGB", (5, 3)), "bmp")
    assert data.endswith(b"\0\0\0")
    assert not decoded(data).any()


@pytest.mark.parametrize(
    "data",
    [b"", b"text", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBP", bomb_png(), KINDS["jpeg"][:300], KINDS["png"][:90]],
    ids=["empty", "text", "gif", "bmp", "webp", "bomb", "cut jpeg", "cut png"],
)
def test_what_is_no_picture_stops_the_graph(data: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoded(data)


def resize(data: bytes, how: str, size: tuple[int, int], color: str = "rgb") -> np.ndarray[Any, Any]:
    config = ImagePipelineConfig(image_size=size, resize=how, color=color)
    return decode_batch(tf.constant([data]), config).numpy()[0].astype(np.int64)


def by_pillow(image: Image.Image, how: str, height: int, width: int) -> np.ndarray[Any, Any]:
    box, size = None, (width, height)
    if how == "crop":
        scale = max(height / image.height, width / image.width)
        across, down = width / scale, height / scale
        left, top = (image.width - across) / 2, (image.height - down) / 2
        box = (left, top, left + across, top + down)
    if how == "letterbox":
        scale = min(height / image.height, width / image.width)
        size = (round(image.width * scale), round(image.height * scale))
    found = image.resize(size, Image.Resampling.BILINEAR, box=box)
    whole = Image.new(image.mode, (width, height))
    whole.paste(found, ((width - found.width) // 2, (height - found.height) // 2))
    return np.asarray(whole).astype(np.int64)


@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(20, 20), (64, 30), (11, 90)])
def test_resized_pictures_are_pillow_s_within_one(how: str, size: tuple[int, int]) -> None:
    image = picture("RGB", height=97, width=131)
    found = resize(encode(image, "png"), how, size)
    assert found.shape == (*size, 3)
    assert np.abs(found - by_pillow(image, how, *size)).max() <= 1


@pytest.mark.parametrize("side", [170, 85, 40])
def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same(side: int) -> None:
    """At a half, a quarter, an eighth: what the resize after it makes small was averaged before."""
    image = picture("RGB").resize((900, 700), Image.Resampling.BICUBIC)
    data = encode(image, "jpeg", quality=95)
    whole = Image.fromarray(decoded(data).astype(np.uint8))
    difference = np.abs(resize(data, "stretch", (side, side)) - by_pillow(whole, "stretch", side, side))
    assert difference.mean() < 1.5
    assert difference.max() < 16


def test_the_same_pixels_whatever_lies_in_the_batch() -> None:
    config = ImagePipelineConfig(image_size=(24, 32), resize="letterbox", color="rgb")
    graph = graph_of(config)
    data = list(KINDS.values())
    together = graph(tf.constant(data)).numpy()
    assert together.shape == (len(data), 24, 32, 3)
    for one in (0, 4, 17, len(data) - 1):
        assert np.array_equal(graph(tf.constant([data[one]])).numpy()[0], together[one])


def test_a_saved_graph_holds_it(tmp_path: Any) -> None:
    module = tf.Module()
    module.call = graph_of(ImagePipelineConfig(image_size=(16, 16), color="grayscale"))
    tf.saved_model.save(module, str(tmp_path / "m"))
    data = tf.constant([KINDS["jpeg exif 6"], KINDS["jpeg cmyk"], KINDS["webp moving"], KINDS["gif clear"]])
    assert np.array_equal(tf.saved_model.load(str(tmp_path / "m")).call(data), module.call(data))


@pytest.mark.parametrize(("data", "expected"), [([], 0), ([1], 2**24), ([0, 0, 1, 2, 9], 258)])
def test_a_number_that_is_cut_short_ends_in_zeros(data: list[int], expected: int) -> None:
    """The last chunk of a PNG is empty; grappler may or may not leave such a read out."""
    assert number(tf.constant(data, tf.uint8), 0, 4, big=True).numpy() == expected
