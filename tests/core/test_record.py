"""The record of a run: what is none, what is damaged, and the files that it vouches for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlcli.core.record import open_finished, read_record
from dlcli.errors import ModelError, UsageError


class TestRecord:
    def test_a_path_without_anything_is_a_usage_error(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            read_record(tmp_path / "nothing")
        assert caught.value.message == f"{tmp_path / 'nothing'} does not exist"

    @pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
    def test_what_is_no_run_is_a_model_error(self, tmp_path: Path, make: Callable[[Path], None]) -> None:
        make(tmp_path / "x")
        with pytest.raises(ModelError, match=r"is not a run: it has no run\.json"):
            read_record(tmp_path / "x")

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"{}", b'{"verb": 1}', b"\xff\xfe", b"null"],
        ids=["empty", "half", "list", "fields", "type", "bytes", "null"],
    )
    def test_a_damaged_record_is_a_model_error(self, finished: Path, content: bytes) -> None:
        (finished / "run.json").write_bytes(content)
        with pytest.raises(ModelError, match=r"run.json is damaged or from a newer dlcli"):
            open_finished(finished)

    def test_every_truncation_of_the_record_is_a_model_error(self, finished: Path) -> None:
        content = (finished / "run.json").read_bytes().rstrip()
        for size in range(0, len(content), 37):
            (finished / "run.json").write_bytes(content[:size])
            with pytest.raises(ModelError):
                open_finished(finished)

    @pytest.mark.parametrize("change", [{"schema": 2}, {"invented_later": 1}, {"status": "paused"}])
    def test_a_record_of_a_newer_dlcli_is_a_model_error(self, finished: Path, change: dict[str, Any]) -> None:
        record = json.loads((finished / "run.json").read_text())
        (finished / "run.json").write_text(json.dumps(record | change))
        with pytest.raises(ModelError, match="from a newer dlcli"):
            open_finished(finished)


class TestDamage:
    NAMES = ("model.keras", "pipeline/vocabulary.tsv", "history.jsonl", "metrics.json", "validation.npz")

    @pytest.mark.parametrize("name", NAMES)
    def test_a_missing_file(self, finished: Path, name: str) -> None:
        (finished / name).unlink()
        with pytest.raises(ModelError) as caught:
            open_finished(finished)
        assert caught.value.message == f"{finished} is damaged: {name} is missing"

    @pytest.mark.parametrize("name", NAMES)
    def test_a_folder_in_a_file_s_place(self, finished: Path, name: str) -> None:
        (finished / name).unlink()
        (finished / name).mkdir()
        with pytest.raises(ModelError, match=f"{name} is missing"):
            open_finished(finished)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("damage", ["flip", "cut", "longer", "empty"])
    def test_a_changed_file(self, finished: Path, name: str, damage: str) -> None:
        content = (finished / name).read_bytes()
        changed = {
            "flip": content[:3] + bytes([content[3] ^ 1]) + content[4:],
            "cut": content[:-1],
            "longer": content + b"\n",
            "empty": b"",
        }[damage]
        (finished / name).write_bytes(changed)
        with pytest.raises(ModelError) as caught:
            open_finished(finished)
        assert caught.value.message == f"{finished} is damaged: {name} is not what was saved"

    def test_a_lost_pipeline(self, finished: Path) -> None:
        shutil.rmtree(finished / "pipeline")
        with pytest.raises(ModelError, match=r"vocabulary\.tsv is missing"):
            open_finished(finished)

    def test_other_files_do_not_matter(self, finished: Path) -> None:
        (finished / "report.html").write_text("added later")
        (finished / "log.txt").write_text("cut")
        assert open_finished(finished).status == "finished"
