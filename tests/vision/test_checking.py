"""Near duplicates: copies as people make them are found, pictures that are alike by nature are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dlcli.vision.checking.likeness import _of_same_colors, colors, near_duplicates, tolerances, vectors
from dlcli.vision.checking.registration import likeness
from vision.photographs import copies, cropped, photograph, reencoded

Grays = np.ndarray[Any, Any]


def gray(image: Image.Image) -> Grays:
    return np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX))


def stroke(seed: int) -> Image.Image:
    """Return a white stroke on black, as a handwritten 1: thousands of them are alike by nature."""
    generator = np.random.default_rng(seed)
    image = Image.new("L", (112, 112))
    x, y = 56 + generator.normal(0, 3, 2)
    points = [(x + side * generator.normal(12, 6), y - side * generator.normal(36, 3)) for side in (-1, -0.4, 0.4, 1)]
    ImageDraw.Draw(image).line(points, 255, round(generator.normal(11, 2)), joint="curve")
    return image.resize((28, 28), Image.Resampling.BOX)


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    return [photograph(seed) for seed in range(300)]


@pytest.mark.parametrize("kind", list(copies(photograph(0))))
def test_copies_are_found_and_nothing_else(photographs: list[Image.Image], kind: str) -> None:
    made = [copies(image)[kind] for image in photographs[:40]]
    pairs = near_duplicates(np.stack([*map(gray, photographs), *map(gray, made)]))
    expected = {(number, len(photographs) + number) for number in range(40)}
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert found <= expected
    assert len(found) >= 38, kind
    assert pairs.mirrored.all() if "mirrored" in kind else not pairs.mirrored.any()


def test_the_result_does_not_depend_on_blocks(photographs: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    grays = np.stack([gray(image) for image in [*photographs[:60], *(reencoded(x, 50) for x in photographs[20:50])]])
    whole = near_duplicates(grays)
    monkeypatch.setattr("dlcli.vision.checking.likeness._ROWS", 7)
    monkeypatch.setattr("dlcli.vision.checking.likeness._COLUMNS", 11)
    parts = near_duplicates(grays)
    assert whole.first.tolist() == parts.first.tolist() == list(range(20, 50))
    assert whole.second.tolist() == parts.second.tolist() == list(range(60, 90))


def test_strokes_are_no_copies_of_each_other() -> None:
    strokes = [gray(stroke(seed)) for seed in range(2000)]
    pairs = near_duplicates(np.stack(strokes))
    assert len(pairs.first) <= 2


def test_a_stroke_s_copy_is_found_among_strokes() -> None:
    images = [stroke(seed) for seed in range(1500)]
    grays = np.stack(
        [gray(image) for image in images] + [gray(reencoded(image.convert("RGB"), 95)) for image in images[:20]]
    )
    pairs = near_duplicates(grays)
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert len(found & {(number, 1500 + number) for number in range(20)}) >= 18


def test_the_more_alike_pictures_are_the_less_a_copy_may_differ(photographs: list[Image.Image]) -> None:
    of_photographs = tolerances(vectors(np.stack([gray(image) for image in photographs])))
    of_strokes = tolerances(vectors(np.stack([gray(stroke(seed)) for seed in range(500)])))
    assert np.median(of_photographs) == pytest.approx(0.06)
    assert np.median(of_strokes) < 0.01


def test_blank_pictures_are_alike_to_none() -> None:
    grays = np.full((50, 32, 32), 200, np.uint8)
    grays[::2] = 10
    assert len(near_duplicates(grays).first) == 0
    assert len(near_duplicates(grays[:1]).first) == 0
    assert len(near_duplicates(grays[:0]).first) == 0


def test_a_part_is_laid_on_the_whole() -> None:
    image = photograph(3)
    a, b = gray(image)[None], gray(cropped(image, 0.12))[None]
    enough = np.ones(1, np.float32)
    plain = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert plain < 0.9 < 0.95 < likeness(a, b, enough=enough)[0] <= 1.0001
    assert likeness(b, a, enough=enough)[0] > 0.95
    assert likeness(a, a, enough=enough)[0] == pytest.approx(1)
    assert likeness(a, gray(photograph(4))[None], enough=enough)[0] < 0.5


def test_shapes_of_other_colours_are_no_copies() -> None:
    """Gray shows no difference between them; a gray copy of either is one."""
    plain = np.full((32, 32, 3), (200, 40, 160), np.uint8)
    plain[8:20, 10:26] = (60, 220, 90)
    other = plain[:, :, [1, 0, 2]].copy()
    other[8:20, 10:26] = (90, 100, 250)
    lighter = np.minimum(plain * 1.1, 255).astype(np.uint8)
    pixels = np.stack([plain, other, lighter, plain[:, ::-1], np.repeat(plain.mean(2, keepdims=True), 3, 2)])
    found = colors(pixels.astype(np.uint8))
    none = np.zeros(1, np.bool_)

    def same(first: int, second: int, mirrored: np.ndarray) -> bool:
        return bool(_of_same_colors(found[[first]], found[[second]], mirrored)[0])

    assert [same(0, second, none) for second in (1, 2, 4)] == [False, True, True]
    assert same(0, 3, ~none) and not same(1, 3, ~none)
