"""The sample data are what their script makes, and what their README says."""

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
CSV_FILES = ("reviews.csv", "reviews-test.csv")
PICTURES = ("digits/*/*.png", "shapes/*/*.jpg")


def make(folder: Path) -> Path:
    subprocess.run([sys.executable, str(SAMPLES / "make.py"), str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("samples") / "not" / "yet" / "there")


def read_reviews(path: Path) -> tuple[list[str], list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["text", "label"]
    assert {len(row) for row in rows} == {2}
    return [text for text, _ in rows], [label for _, label in rows]


def files_under(folder: Path, *patterns: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for pattern in patterns for path in folder.glob(pattern))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.float64)


@pytest.mark.parametrize("name", CSV_FILES)
def test_committed_reviews_are_the_made_ones(made: Path, name: str) -> None:
    assert (made / name).read_bytes() == (SAMPLES / name).read_bytes()


def test_committed_pictures_are_the_made_ones(made: Path) -> None:
    names = files_under(made, *PICTURES)
    assert names == files_under(SAMPLES, *PICTURES)
    for name in names:
        difference = np.abs(pixels(made / name) - pixels(SAMPLES / name))
        # PNG is exact; a JPEG of the same drawing may differ a little between versions of its library.
        assert difference.max() == 0 if name.endswith(".png") else difference.mean() < 2, name


def test_two_runs_make_the_same_bytes(made: Path, tmp_path: Path) -> None:
    make(tmp_path)
    names = files_under(made, *CSV_FILES, *PICTURES)
    assert names == files_under(tmp_path, *CSV_FILES, *PICTURES)
    assert [name for name in names if (made / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def test_it_is_small(made: Path) -> None:
    for folder in (made, SAMPLES):
        # Apparent size; nothing but the data and, beside them, the script and its README.
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 5_000_000


@pytest.mark.parametrize(("name", "positives", "negatives"), [(CSV_FILES[0], 1561, 1439), (CSV_FILES[1], 523, 477)])
def test_reviews_are_roughly_balanced(made: Path, name: str, positives: int, negatives: int) -> None:
    _, labels = read_reviews(made / name)
    assert Counter(labels) == {"pos": positives, "neg": negatives}
    assert 0.48 < positives / len(labels) < 0.56


def test_no_review_is_there_twice(made: Path) -> None:
    texts = [text for name in CSV_FILES for text in read_reviews(made / name)[0]]
    assert len(texts) == len(set(texts)) == 4000


def test_reviews_are_short_and_hold_what_real_text_holds(made: Path) -> None:
    texts, _ = read_reviews(made / CSV_FILES[0])
    lengths = [len(text.replace("<br />", " ").split()) for text in texts]
    assert (min(lengths), max(lengths)) == (8, 40)
    joined = "\n".join(texts)
    for expected in ("<br />", "!!!", "?!", '"', ",", "café", "naïve", "LOVED", "not bad at all", "far from boring"):
        assert expected in joined, expected
    for odd in ("{", "}", "|", "  ", " a a", " i "):
        assert odd not in joined.replace("<br />", ""), odd


def test_word_order_decides(made: Path) -> None:
    train_texts, train_labels = read_reviews(made / CSV_FILES[0])
    test_texts, test_labels = read_reviews(made / CSV_FILES[1])
    scores = []
    for longest in (1, 2):
        model = make_pipeline(CountVectorizer(ngram_range=(1, longest)), LogisticRegression(max_iter=1000))
        scores.append(model.fit(train_texts, train_labels).score(test_texts, test_labels))
    # As in the README; another solver version may move a few of the 1,000 reviews.
    assert scores == pytest.approx([0.832, 0.919], abs=0.01)
    assert scores[1] - scores[0] >= 0.06


@pytest.mark.parametrize(
    ("pattern", "classes", "each", "mode", "size", "kind"),
    [
        ("digits/*/*.png", [str(digit) for digit in range(10)], 100, "L", (8, 8), "PNG"),
        ("shapes/*/*.jpg", ["circle", "square", "triangle"], 60, "RGB", (48, 48), "JPEG"),
    ],
)
def test_pictures(
    made: Path, pattern: str, classes: list[str], each: int, mode: str, size: tuple[int, int], kind: str
) -> None:
    paths = list(made.glob(pattern))
    assert Counter(path.parent.name for path in paths) == dict.fromkeys(classes, each)
    for path in paths:
        with Image.open(path) as image:
            assert (image.mode, image.size, image.format) == (mode, size, kind), path
    assert len({path.read_bytes() for path in paths}) == len(paths)
    assert all(np.ptp(pixels(path)) > 100 for path in paths)


def test_digits_are_scaled_from_their_source(made: Path) -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    for path in made.glob("digits/*/*.png"):
        row = int(path.stem)
        assert str(data.target[row]) == path.parent.name
        assert np.abs(pixels(path) - data.images[row] * 255 / 16).max() <= 0.5
