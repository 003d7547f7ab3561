"""The stream of labelled texts: bounded, and what it gathers is that of reading all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlcli.core.dataset import fingerprint
from dlcli.errors import DataError
from dlcli.results import answers
from dlcli.results.answers import LabelledStream, require_same_labels
from dlcli.text.config import TextDataConfig
from dlcli.text.read import labelled_texts


def write(path: Path, rows: list[str], header: str = "text,label,country") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def stream_of(path: Path, **slices: list[str]) -> LabelledStream:
    return LabelledStream(labelled_texts(path, TextDataConfig(), part="test"), path, ["a", "b"], **slices)


def test_chunk_by_chunk_it_is_what_reading_all_at_once_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "CHUNK", 7)
    texts = [f"text {n}" if n % 5 else " " for n in range(30)]
    labels = ["b" if n % 3 else "a" for n in range(30)]
    countries = [["de", "fr", ""][n % 3] for n in range(30)]
    path = write(tmp_path / "a.csv", [",".join(row) for row in zip(texts, labels, countries, strict=True)])
    stream = stream_of(path, slices=["country"])
    chunks = list(stream)
    assert [len(chunk.items) for chunk in chunks] == [7, 7, 7, 7, 2]
    assert [text for chunk in chunks for text in chunk.items] == texts
    assert stream.labels.tolist() == [["a", "b"].index(label) for label in labels]
    assert stream.fingerprint == fingerprint(texts, labels)
    assert (stream.n, stream.blank, stream.some_blank) == (30, 6, ["line 2", "line 7", "line 12"])
    slices = stream.slices["country"]
    assert slices.values == ["de", "fr", "(empty)"]
    assert np.array(slices.values)[slices.codes].tolist() == [country or "(empty)" for country in countries]


def test_a_label_that_the_model_does_not_know_is_found_where_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "CHUNK", 2)
    stream = stream_of(write(tmp_path / "a.csv", ["x,a,", "x,b,", "x,c,"]))
    with pytest.raises(DataError, match=r"a\.csv has labels that the model does not know: 'c'"):
        list(stream)


def test_a_column_that_is_not_there_to_slice_by(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["x,a,de"])
    with pytest.raises(DataError, match=r"no column 'contry' to slice by; its columns are: text, label, country"):
        stream_of(path, slices=["contry"])


def test_a_column_of_too_many_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MOST_VALUES", 3)
    path = write(tmp_path / "a.csv", [f"x,a,{n}" for n in range(4)])
    with pytest.raises(DataError, match=r"column 'country' has more than 3 different values"):
        stream_of(path, slices=["country"])


def test_cells_of_json_are_values_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "x", "label": "a", "n": 3}\n{"text": "x", "label": "a", "n": null}\n{"text": "x", "label": "b"}\n'
    )
    stream = stream_of(path, slices=["n"])
    list(stream)
    assert stream.slices["n"].values == ["3", "(empty)"]


def test_runs_with_other_labels_show_the_difference() -> None:
    require_same_labels(Path("r"), ["a", "b"], Path("s"), ["b", "a"])
    with pytest.raises(DataError) as caught:
        require_same_labels(Path("r"), ["a", "b"], Path("s"), ["b", "c", "d"])
    assert caught.value.message == "r and s have different labels: only r has 'a'; only s has 'c', 'd'"
