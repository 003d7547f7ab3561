"""`dlcli tokenize`: what scikit-learn's vectorizers make of the same texts, and files that others can open."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from conftest import REVIEWS, REVIEWS_TEST, Outcome
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from verbs.helpers import read_csv, snapshot, write_csv

Command = Callable[..., Outcome]

ROWS = read_csv(REVIEWS)[:600]
TEXTS = [row["text"] for row in ROWS]
# Words as scikit-learn's default pattern takes them.
AS_THEIRS = "--punctuation drop --no-strip-html --min-word-length 2"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "reviews.csv", ROWS)


def terms_of(folder: Path) -> list[str]:
    lines = (folder / "vocabulary.tsv").read_bytes().decode().split("\n")
    assert lines[0] == "term\tcount\ttexts"
    return [line.split("\t")[0] for line in lines[1:-1]]


def assert_same(folder: Path, theirs: Any, vocabulary: dict[str, int], *, exact: bool = True) -> None:
    """Hold a matrix against scikit-learn's, with the columns in our order."""
    ours, terms = scipy.sparse.load_npz(folder / "features.npz"), terms_of(folder)
    assert ours.has_canonical_format
    assert ours.shape == (theirs.shape[0], len(terms))
    assert sorted(terms) == sorted(vocabulary)
    theirs = theirs[:, [vocabulary[term] for term in terms]].tocsr()
    theirs.sort_indices()
    np.testing.assert_array_equal(ours.indptr, theirs.indptr)
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    if exact:
        np.testing.assert_array_equal(ours.data, theirs.data)
    else:
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-14, atol=0)


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("--ngrams 2", {"ngram_range": (1, 2)}),
    ("--ngrams 1-3 --min-df 3", {"ngram_range": (1, 3), "min_df": 3}),
    ("--ngrams 2-2 --max-df 0.05", {"ngram_range": (2, 2), "max_df": 0.05}),
    ("--ngrams 2 --min-df 2% --max-df 50%", {"ngram_range": (1, 2), "min_df": 0.02, "max_df": 0.5}),
    # 0.005 of 600 texts are 3, which are kept; 0.0051 are 3.06, and 3 texts are too few.
    ("--min-df 0.005", {"min_df": 0.005}),
    ("--min-df 0.0051", {"min_df": 0.0051}),
    ("--max-df 40", {"max_df": 40}),
    ("--stop-words sklearn --ngrams 2", {"stop_words": "english", "ngram_range": (1, 2)}),
    ("--strip-accents", {"strip_accents": "unicode"}),
    ("--no-lowercase", {"lowercase": False}),
    ("--features binary --ngrams 2", {"binary": True, "ngram_range": (1, 2)}),
]


@pytest.mark.parametrize(("flags", "theirs"), SETTINGS, ids=[flags for flags, _ in SETTINGS])
def test_counts_are_those_of_scikit_learn(dlcli: Command, reviews: Path, flags: str, theirs: dict[str, Any]) -> None:
    outcome = dlcli("tokenize", reviews, "bag", *shlex.split(f"{AS_THEIRS} {flags}"))
    assert outcome.code == 0, outcome.err
    vectorizer = CountVectorizer(**theirs)
    assert_same(Path("bag"), vectorizer.fit_transform(TEXTS), vectorizer.vocabulary_)


@pytest.mark.parametrize("flags", ["", "--ngrams 2 --min-df 5 --max-df 0.9 --stop-words sklearn"])
def test_tfidf_is_that_of_scikit_learn(dlcli: Command, reviews: Path, flags: str) -> None:
    theirs = {"ngram_range": (1, 2), "min_df": 5, "max_df": 0.9, "stop_words": "english"} if flags else {}
    assert dlcli("tokenize", reviews, "bag", *shlex.split(f"{AS_THEIRS} --features tfidf {flags}")).code == 0
    vectorizer = TfidfVectorizer(**theirs)
    assert_same(Path("bag"), vectorizer.fit_transform(TEXTS), vectorizer.vocabulary_, exact=False)
    # And of other texts, with the same columns.
    outcome = dlcli("tokenize", REVIEWS_TEST, "test-bag", "--from", "bag")
    assert outcome.code == 0, outcome.err
    test = vectorizer.transform([row["text"] for row in read_csv(REVIEWS_TEST)])
    assert_same(Path("test-bag"), test, vectorizer.vocabulary_, exact=False)


def test_max_features_keeps_the_most_frequent(dlcli: Command, reviews: Path) -> None:
    assert dlcli("tokenize", reviews, "bag", *shlex.split(f"{AS_THEIRS} --max-features 50 --max-df 0.3")).code == 0
    vectorizer = CountVectorizer(max_features=50, max_df=0.3)
    theirs = vectorizer.fit_transform(TEXTS).sum(axis=0).A1
    ours = scipy.sparse.load_npz("bag/features.npz").sum(axis=0).A1
    assert sorted(ours) == sorted(theirs), "of words that are equally frequent either may be kept"
    assert list(ours) == sorted(ours, reverse=True)


def test_rows_labels_and_counts_are_those_of_the_table(dlcli: Command, reviews: Path) -> None:
    outcome = dlcli("tokenize", reviews, "bag", "--json")
    labels = np.load("bag/labels.npy", allow_pickle=False)
    assert labels.tolist() == [row["label"] for row in ROWS]
    assert labels.dtype.kind == "U"
    matrix = scipy.sparse.load_npz("bag/features.npz")
    assert (matrix.dtype, matrix.indices.dtype, matrix.indptr.dtype) == (np.int32, np.int32, np.int32)
    lines = [line.split("\t") for line in Path("bag/vocabulary.tsv").read_text(encoding="utf-8").split("\n")[1:-1]]
    assert matrix.sum(axis=0).A1.tolist() == [int(count) for _, count, _ in lines]
    assert (matrix > 0).sum(axis=0).A1.tolist() == [int(texts) for _, _, texts in lines]
    result = json.loads(outcome.out)
    assert (result["texts"], tuple(result["shape"]), result["nonzeros"]) == (600, matrix.shape, matrix.nnz)
    assert result["ngrams"] == result["distinct"] == len(lines)
    assert result["files"].keys() == {p.name for p in Path("bag").iterdir()}


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_ids_are_padded_and_cut(dlcli: Command, reviews: Path, padding: str, truncating: str) -> None:
    flags = f"--features ids --max-length 12 --max-features 100 --padding {padding} --truncating {truncating}"
    assert dlcli("tokenize", reviews, "ids", *shlex.split(f"{AS_THEIRS} {flags}")).code == 0
    ids, terms = np.load("ids/ids.npy"), ["", "?", *terms_of(Path("ids"))]
    assert (ids.shape, ids.dtype) == ((600, 12), np.int32)
    analyze = CountVectorizer().build_analyzer()
    for row, text in zip(ids.tolist(), TEXTS, strict=True):
        words = [word if word in terms else "?" for word in analyze(text)]
        words = words[-12:] if truncating == "pre" else words[:12]
        fill = [""] * (12 - len(words))
        assert [terms[number] for number in row] == (fill + words if padding == "pre" else words + fill)


def test_without_a_length_ids_are_as_long_as_the_longest_text(
    dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.text.features._CELLS", 5)
    write_csv(tmp_path / "a.csv", [{"text": text, "label": "x"} for text in ("a b", "", "b", "a a c")])
    assert dlcli("tokenize", "a.csv", "ids", "--features", "ids").code == 0
    assert np.load("ids/ids.npy").tolist() == [[2, 3, 0], [0, 0, 0], [3, 0, 0], [2, 2, 4]]
    outcome = dlcli("tokenize", "a.csv", "cut", "--features", "ids", "--max-length", "75%")
    assert np.load("cut/ids.npy").tolist() == [[2, 3], [0, 0], [3, 0], [2, 2]], outcome.err


def test_the_lines_of_python_open_what_was_written(dlcli: Command, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    odd = ['"', "na", "null", "nan", "#", "\\", "'", "café", "1e5", "true", '"na"']
    write_csv(tmp_path / "a.csv", [{"text": " ".join(odd[:n]), "label": "x"} for n in range(len(odd) + 1)])
    for features in ("counts", "ids"):
        outcome = dlcli("tokenize", "a.csv", features, "--features", features)
        lines = [line.strip() for line in outcome.out.split("In Python:\n\n")[1].splitlines()]
        opened: dict[str, Any] = {"numpy": np, "pandas": pandas, "scipy": scipy}
        exec("\n".join(lines), opened)
        assert opened["x"].shape[0] == len(opened["y"]) == len(odd) + 1
        assert opened["terms"]["term"].tolist() == terms_of(Path(features))


@pytest.mark.parametrize(("name", "content"), [("a.csv", "text\nfine\nso so\n"), ("a/1.txt", "fine so so")])
def test_texts_without_labels(dlcli: Command, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    outcome = dlcli("tokenize", name.partition("/")[0], "bag", "--no-labels")
    assert outcome.code == 0, outcome.err
    assert not Path("bag/labels.npy").exists()
    assert sorted(terms_of(Path("bag"))) == ["fine", "so"]
    assert "labels" not in outcome.out


def test_the_vocabulary_of_a_run(dlcli: Command, run: Path) -> None:
    outcome = dlcli("tokenize", REVIEWS_TEST, "bag", "--from", run, "--json")
    result = json.loads(outcome.out)
    assert (result["features"], result["distinct"]) == ("binary", None)
    assert (Path("bag/vocabulary.tsv").read_bytes()) == (run / "pipeline/vocabulary.tsv").read_bytes()
    matrix = scipy.sparse.load_npz("bag/features.npz")
    assert matrix.shape == (1000, len(terms_of(Path("bag"))))
    assert set(matrix.data) == {1}


def test_only_what_tokenize_wrote_is_replaced(dlcli: Command, reviews: Path) -> None:
    def outcome(*flags: str) -> tuple[int, str]:
        done = dlcli("tokenize", reviews, "bag", *flags)
        return done.code, done.err

    assert outcome()[0] == 0
    before = snapshot(Path("bag"))
    code, line = outcome()
    assert (code, "--force" in line, snapshot(Path("bag")) == before) == (5, True, True)
    assert outcome("--force", "--features", "ids", "--no-labels") == (0, "")
    assert {path.name for path in Path("bag").iterdir()} == {"ids.npy", "pipeline.json", "vocabulary.tsv"}
    Path("bag/notes.txt").write_text("mine")
    before = snapshot(Path("bag"))
    code, line = outcome("--force")
    assert (code, "tokenize did not write it" in line, snapshot(Path("bag")) == before) == (5, True, True)


def test_what_fails_leaves_the_folder_as_it_was(dlcli: Command, reviews: Path, tmp_path: Path) -> None:
    assert dlcli("tokenize", reviews, "bag").code == 0
    (tmp_path / "bad.csv").write_text("text,label\nfine,pos\na,b,c\n")
    before = snapshot(tmp_path)
    assert dlcli("tokenize", "bad.csv", "bag", "--force").code == 3
    assert dlcli("tokenize", "bad.csv", "new").code == 3
    assert snapshot(tmp_path) == before


BAD: list[tuple[str, int, list[str]]] = [
    ("tiny.csv", 2, ["OUT"]),
    ("nowhere.csv o", 2, ["nowhere.csv does not exist"]),
    ("tiny.csv o --max-length 0 --features ids", 2, ["--max-length", "at least 1"]),
    ("tiny.csv o --max-length 9", 2, ["--max-length is for --features ids", "counts"]),
    ("tiny.csv o --ngrams 2 --features ids", 2, ["--ngrams", "--features ids", "single words"]),
    ("tiny.csv o --ngrams 3-2", 2, ["--ngrams", "shorter one first"]),
    ("tiny.csv o --min-count 0", 2, ["--min-count", "at least 1"]),
    ("tiny.csv o --min-df 2.5", 2, ["--min-df", "between 0 and 1"]),
    ("tiny.csv o --stem portr", 2, ["--stem", "'portr'", "'porter'"]),
    ("tiny.csv o --label-column stars", 3, ["'stars'", "--label-column"]),
    ("tiny.csv o --min-df 41", 3, ["41 times", "40 training texts", "--min-df"]),
    ("tiny.csv o --min-df 30 --max-df 20", 3, ["no word is left", "30 to 20"]),
    ("blank.csv o", 3, ["no word is left of the 2"]),
    ("tiny.csv o --from nowhere", 2, ["--from", "nowhere does not exist", "tokenize"]),
    ("tiny.csv o --from folder", 4, ["--from", "folder has no pipeline.json"]),
    ("tiny.csv tiny.csv", 5, ["tiny.csv is a file", "OUT"]),
    ("tiny.csv folder --force", 5, ["folder is not empty", "OUT"]),
    ("tiny.csv tiny.csv/o", 5, ["cannot write", "OUT"]),
]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=[arguments for arguments, _, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    dlcli: Command, tmp_path: Path, arguments: str, code: int, words: list[str]
) -> None:
    (tmp_path / "blank.csv").write_text("text,label\n ,pos\n<br />,neg\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    before = snapshot(tmp_path)
    outcome = dlcli("tokenize", *shlex.split(arguments))
    assert (outcome.code, len(outcome.lines)) == (code, 1), outcome.err
    for word in words:
        assert word in outcome.lines[-1]
    assert snapshot(tmp_path) == before


def test_from_brings_its_settings_and_stays(dlcli: Command, reviews: Path) -> None:
    assert dlcli("tokenize", reviews, "bag", "--stem", "porter").code == 0
    before = snapshot(Path("bag"))
    outcome = dlcli("tokenize", reviews, "other", "--from", "bag", "--ngrams", "2")
    assert (outcome.code, "--ngrams: --from takes settings" in outcome.err) == (2, True)
    outcome = dlcli("tokenize", reviews, "bag", "--from", "bag", "--force")
    assert (outcome.code, "OUT is the folder of --from" in outcome.err) == (2, True)
    assert snapshot(Path("bag")) == before
    shutil.copytree("bag", "broken")
    Path("broken/vocabulary.tsv").write_text("term\n")
    assert dlcli("tokenize", reviews, "other", "--from", "broken").code == 4


def test_ids_that_the_disk_has_no_room_for(dlcli: Command, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr("dlcli.text.features.shutil.disk_usage", lambda _: usage)
    outcome = dlcli("tokenize", reviews, "ids", "--features", "ids")
    assert (outcome.code, "--max-length" in outcome.err, Path("ids").exists()) == (5, True, False)


def test_a_vocabulary_that_does_not_fit_into_the_memory(
    dlcli: Command, reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlcli.text.counting.available_memory", lambda: 1000)
    outcome = dlcli("tokenize", reviews, "bag", "--ngrams", "2")
    assert (outcome.code, "--ngrams" in outcome.err, Path("bag").exists()) == (6, True, False)
