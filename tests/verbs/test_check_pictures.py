"""`dlcli check` on pictures: every planted fault is found by name, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome
from PIL import Image
from vision.photographs import classes, copies, encoded, photograph, put
from vision.pictures import bomb_png

from verbs.helpers import snapshot, write_csv

Command = Callable[..., Outcome]


def findings(outcome: Outcome) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(outcome.out)["findings"]}


def files(finding: dict[str, Any]) -> list[list[str]]:
    return [[Path(row["where"]).name for row in item["rows"]] for item in finding["items"]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return classes(tmp_path / "photos", each=12)


def test_fine_pictures_have_exit_code_0(dlcli: Command, photos: Path) -> None:
    put(photos / ".DS_Store", b"x")
    put(photos / "cat" / "._0.png", b"x")
    put(photos / "cat" / "notes.txt", b"two cats")
    outcome = dlcli("check", "photos")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "data    pictures  bad  width x height: min  median     max  different",
        "photos        24    0               128x96  128x96  128x96          1",
        "formats: 24 png; colours: 24 RGB; passed over: 2 system, 1 .txt",
        "",
        "class      photos",
        "cat    12 (50.0%)",
        "dog    12 (50.0%)",
        "",
        "no errors, no warnings",
    ]


def test_every_bad_file_is_named_and_no_other(dlcli: Command, photos: Path) -> None:
    whole = encoded(photograph(500), "JPEG", quality=90)
    png = encoded(photograph(501))
    cats = photos / "cat"
    planted = {
        "empty-file": put(cats / "zero.jpg", b""),
        "not-a-picture": put(cats / "text.jpg", b"a cat, as text"),
        "unsupported": put(cats / "tiff.png", encoded(photograph(502), "TIFF")),
        "bad-header": put(cats / "head.jpg", whole[:12]),
        "damaged": put(cats / "cut.jpg", whole[: len(whole) // 2]),
        "bomb": put(cats / "bomb.png", bomb_png()),
        "missing-file": cats / "dangling.png",
        "symlink-loop": cats / "loop",
        "empty-class": photos / "empty",
    }
    put(cats / "flipped.png", png[:2000] + bytes(200) + png[2200:])
    (cats / "dangling.png").symlink_to("nowhere.png")
    (cats / "loop").symlink_to(cats, target_is_directory=True)
    (photos / "empty").mkdir()
    before = snapshot(photos)
    outcome = dlcli("check", "photos", "--json")
    found = findings(outcome)
    assert outcome.code == 3
    assert set(found) == {*planted}
    assert files(found["damaged"]) == [["cut.jpg"], ["flipped.png"]]
    for kind, path in planted.items():
        assert found[kind]["level"] == "error"
        assert found[kind]["count"] == (2 if kind == "damaged" else 1), kind
        assert files(found[kind])[0] == [path.name], kind
    assert "text" in found["not-a-picture"]["items"][0]["what"]
    assert "TIFF" in found["unsupported"]["items"][0]["what"]
    assert "60000x60000" in found["bomb"]["items"][0]["what"]
    assert json.loads(outcome.out)["data"][0]["bad"] == 10
    assert snapshot(photos) == before
    text = dlcli("check", "photos", "--show", "1")
    assert "error: photos: 2 files are damaged or cut short [damaged]\n  photos/cat/cut.jpg: a damaged JPEG" in text.out
    assert "  and 1 more\n" in text.out
    assert text.lines[0].startswith("dlcli: 9 errors: empty-file, not-a-picture, ")


def test_odd_files_are_warnings(dlcli: Command, photos: Path) -> None:
    put(photos / "cat" / "really-a.png", encoded(photograph(500), "JPEG"))
    put(photos / "dog" / "a.heic", b"x")
    put(photos / "beside.png", photograph(501))
    put(photos / "dog" / "blank.png", Image.new("RGB", (50, 40), "white"))
    put(photos / "dog" / "dot.png", photograph(502, height=4, width=4))
    (photos / "dog" / os.fsdecode(b"caf\xe9.png")).write_bytes(encoded(photograph(503)))
    outcome = dlcli("check", "photos", "--json")
    found = findings(outcome)
    assert outcome.code == 0
    assert set(found) == {
        "wrong-extension",
        "odd-names",
        "passed-over",
        "without-class",
        "tiny-pictures",
        "blank-pictures",
    }
    assert found["wrong-extension"]["items"][0]["what"] == "it is JPEG"
    assert files(found["odd-names"]) == [["caf\N{REPLACEMENT CHARACTER}.png"]]
    assert (files(found["tiny-pictures"]), files(found["blank-pictures"])) == ([["dot.png"]], [["blank.png"]])
    assert "1 .heic" in found["passed-over"]["text"]


def test_names_that_differ_in_unicode_form_alone(dlcli: Command, photos: Path) -> None:
    for form in ("NFC", "NFD"):
        put(photos / "cat" / unicodedata.normalize(form, "café.png"), photograph(600 + len(form) + ord(form[2])))
    outcome = dlcli("check", "photos", "--json")
    assert outcome.code == 3
    assert set(findings(outcome)) == {"name-collision"}


def test_copies_in_one_data_set(dlcli: Command, photos: Path) -> None:
    image = photograph(0)
    put(photos / "cat" / "same-file.png", encoded(image))
    put(photos / "cat" / "same-pixels.bmp", encoded(image, "BMP"))
    for name, copy in copies(photograph(3)).items():
        put(photos / "cat" / f"{name}.png", copy)
    put(photos / "dog" / "a-cat.png", encoded(photograph(5)))
    put(photos / "dog" / "nearly-a-cat.jpg", encoded(photograph(7), "JPEG"))
    outcome = dlcli("check", "photos", "--json")
    found = findings(outcome)
    assert outcome.code == 3
    assert set(found) == {"duplicates", "near-duplicates", "conflicts", "near-conflicts"}
    assert files(found["duplicates"]) == [["0.png", "same-file.png", "same-pixels.bmp"], ["5.png", "a-cat.png"]]
    assert found["duplicates"]["text"].startswith(
        "3 pictures repeat an earlier one pixel for pixel (2 as the same file)"
    )
    assert found["near-duplicates"]["count"] == len(copies(image)) + 1
    assert [item["count"] for item in found["near-duplicates"]["items"]] == [len(copies(image)) + 1, 2]
    assert files(found["conflicts"]) == [["5.png", "a-cat.png"]]
    assert files(found["near-conflicts"]) == [["7.png", "nearly-a-cat.jpg"]]
    exact = dlcli("check", "photos", "--exact", "--allow", "conflicts", "--json")
    assert (exact.code, set(findings(exact))) == (0, {"duplicates", "conflicts"})


def test_leaks_between_parts(dlcli: Command, tmp_path: Path) -> None:
    classes(tmp_path / "d" / "train", each=12)
    classes(tmp_path / "d" / "test", each=12, first=300)
    assert dlcli("check", "d").code == 0
    put(tmp_path / "d/test/cat/leak.png", photograph(4))
    put(tmp_path / "d/test/dog/near.jpg", encoded(copies(photograph(1006))["mirrored, cropped, re-encoded"], "JPEG"))
    outcome = dlcli("check", "d", "--json")
    found = findings(outcome)
    assert (outcome.code, set(found)) == (3, {"leaks", "near-leaks"})
    assert found["leaks"]["data"] == ["d/train", "d/test"]
    assert found["leaks"]["text"] == (
        "1 picture of 26 is in d/train too, pixel for pixel (1 as the same file); 0 with another label"
    )
    assert (files(found["leaks"]), files(found["near-leaks"])) == ([["leak.png", "4.png"]], [["near.jpg", "6.png"]])
    text = dlcli("check", "d/train", "d/test").out
    assert "  d/test/cat/leak.png 'cat', d/train/cat/4.png 'cat'\n" in text
    assert dlcli("check", "d", "--allow", "leaks", "--allow", "near-leaks").code == 0


def test_an_augmented_copy_in_another_part(dlcli: Command, tmp_path: Path) -> None:
    root = tmp_path / "d"
    classes(root / "train", each=12)
    classes(root / "test", each=12, first=300)
    copy = put(root / "test" / "cat" / "2-aug1.png", photograph(900))
    inside = put(root / "train" / "dog" / "3-aug1.png", photograph(901))
    rows = [
        {
            "file": file.relative_to(root).as_posix(),
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "source": source.relative_to(root).as_posix(),
            "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "copy": int(file != source),
        }
        for file, source in [
            (copy, root / "train/cat/2.png"),
            (inside, root / "train/dog/3.png"),
            (root / "train/cat/2.png", root / "train/cat/2.png"),
        ]
    ]
    (root / "augmentation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [{"schema": 1}, *rows]))
    outcome = dlcli("check", "d", "--json")
    found = findings(outcome)
    assert (outcome.code, set(found)) == (3, {"augmented-leaks", "augmented-copies"})
    assert files(found["augmented-leaks"]) == [["2-aug1.png", "2.png"]]
    assert {tuple(f["data"]) for f in json.loads(outcome.out)["findings"]} == {
        ("d/train", "d/test"),
        ("d/train",),
        ("d/test",),
    }
    (root / "augmentation.jsonl").write_text("{}\nnothing\n")
    outcome = dlcli("check", "d")
    assert outcome.code == 3
    assert "augmentation.jsonl is damaged" in outcome.err


def test_classes(dlcli: Command, tmp_path: Path) -> None:
    classes(tmp_path / "one", each=12, names=("cat",))
    assert set(findings(dlcli("check", "one", "--json"))) == {"one-class"}
    classes(tmp_path / "d", each=20)
    put(tmp_path / "d" / "cow" / "1.png", photograph(50))
    put(tmp_path / "d" / "cow" / "2.png", photograph(50))
    put(tmp_path / "d" / "Cat" / "1.png", photograph(51))
    put(tmp_path / "d" / "Cat" / "2.png", photograph(52))
    found = findings(dlcli("check", "d", "--json"))
    assert set(found) == {"small-classes", "imbalance", "rare-classes", "similar-classes", "duplicates"}
    assert "'cow' (2)" in found["small-classes"]["text"]
    classes(tmp_path / "e", each=12, first=100, names=("cat", "emu"))
    found = findings(dlcli("check", "d", "e", "--json"))
    assert "'emu' (12)" in found["unknown-classes"]["text"]
    assert "'dog' (20)" in found["missing-classes"]["text"]


def test_tables_and_archives(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    rows = [{"path": f"photos/{c}/{n}.png", "label": c} for c in ("cat", "dog") for n in range(12)]
    write_csv(tmp_path / "a.csv", [*rows, {"path": "photos/cat/99.png", "label": "cat"}])
    outcome = dlcli("check", "a.csv", "--json")
    found = findings(outcome)
    assert (outcome.code, set(found)) == (3, {"missing-file"})
    assert found["missing-file"]["items"][0]["rows"][0]["line"] == 26
    images = np.stack([np.asarray(photograph(n, height=28, width=28)) for n in range(40)])
    labels = np.arange(40) % 2
    np.savez(tmp_path / "a.npz", x_train=images[:20], y_train=labels[:20], x_test=images[19:], y_test=labels[19:])
    outcome = dlcli("check", "a.npz", "--json")
    found = findings(outcome)
    assert (outcome.code, set(found)) == (3, {"leaks"})
    assert found["leaks"]["data"] == ["a.npz train", "a.npz test"]
    assert [row["where"] for row in found["leaks"]["items"][0]["rows"]] == ["a.npz::20", "a.npz::19"]
    assert [data["formats"] for data in json.loads(outcome.out)["data"]] == [{"npz": 20}, {"npz": 21}]


def test_the_files_of_an_archive_are_not_passed_over(dlcli: Command) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 9, 9), np.uint8)
    put(Path("idx", "train-images-idx3-ubyte"), struct.pack(">4B3I", 0, 0, 8, 3, *pixels.shape) + pixels.tobytes())
    put(Path("idx", "train-labels-idx1-ubyte"), struct.pack(">4BI", 0, 0, 8, 1, 20) + bytes([0, 1] * 10))
    (data,) = json.loads(dlcli("check", "idx", "--json").out)["data"]
    assert (data["pictures"], data["passed_over"], data["formats"]) == (20, {}, {"idx": 20})


def test_quarantine_copies_and_leaves_the_data_as_it_is(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    put(photos / "cat" / "zero.jpg", b"")
    put(photos / "cat" / "again.png", photograph(2))
    (photos / "cat" / "link.png").symlink_to("nowhere.png")
    before = snapshot(photos)
    outcome = dlcli("check", "photos", "--quarantine", "bad", "--json")
    assert outcome.code == 3
    assert json.loads(outcome.out)["quarantine"] == {
        "path": "bad",
        "list": "bad/quarantine.jsonl",
        "files": 2,
        "listed": 3,
    }
    assert snapshot(photos) == before
    assert set(snapshot(tmp_path / "bad")) == {"cat/zero.jpg", "cat/again.png", "quarantine.jsonl"}
    lines = [json.loads(line) for line in (tmp_path / "bad/quarantine.jsonl").read_text().splitlines()]
    assert [(line["file"], line["finding"], line["copy"]) for line in lines] == [
        ("photos/cat/zero.jpg", "empty-file", "cat/zero.jpg"),
        ("photos/cat/link.png", "missing-file", None),
        ("photos/cat/again.png", "duplicates", "cat/again.png"),
    ]
    assert lines[2]["what"] == "as photos/cat/2.png"
    assert dlcli("check", "photos", "--quarantine", "bad").code == 5
    assert dlcli("check", "photos", "--quarantine", "bad", "--force").code == 3
    (tmp_path / "mine").mkdir()
    put(tmp_path / "mine" / "thesis.txt", b"x")
    outcome = dlcli("check", "photos", "--quarantine", "mine", "--force")
    assert (outcome.code, "holds something else" in outcome.err) == (5, True)
    for inside in ("photos/bad", "photos", "."):
        outcome = dlcli("check", "photos", "--quarantine", inside)
        assert (outcome.code, "lie in each other" in outcome.err) == (2, True), inside
    assert snapshot(photos) == before


def test_contact_sheet(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    red = Image.new("RGB", (60, 60), (250, 0, 0))
    put(photos / "cat" / "red.png", red)
    put(photos / "dog" / "red-too.png", red)
    put(photos / "cat" / "zero.jpg", b"")
    outcome = dlcli("check", "photos", "--contact-sheet", "found.png")
    assert (outcome.code, "contact sheet: found.png" in outcome.out) == (3, True)
    sheet = np.asarray(Image.open(tmp_path / "found.png").convert("RGB"))
    # In conflicts, duplicates and blank-pictures: two tiles each.
    assert (sheet == (250, 0, 0)).all(axis=2).sum() == 6 * 144 * 144
    assert dlcli("check", "photos", "--contact-sheet", "found.png").code == 5
    assert dlcli("check", "photos", "--contact-sheet", "found.jpg").code == 2
    outcome = dlcli("check", "photos", "--contact-sheet", "photos/cat/found.png")
    assert (outcome.code, "lies in photos" in outcome.lines[-1]) == (2, True)
    assert not Path("photos/cat/found.png").exists()
    assert dlcli("check", "photos", "--contact-sheet", "found.png", "--force", "--show", "0").code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("photos", "a.csv"), 2, "a.csv holds texts and photos pictures: one command takes one kind"),
        (("photos/cat/0.png",), 2, "photos/cat/0.png is a picture, expected a folder of pictures"),
        (("nothing",), 2, "nothing does not exist"),
        (("a.csv", "--quarantine", "bad"), 2, "--quarantine is for pictures, and a.csv holds texts"),
        (("photos/cat",), 3, "1 error: unreadable"),
    ],
)
def test_what_cannot_be_checked(
    dlcli: Command, photos: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    write_csv(tmp_path / "a.csv", [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(20)])
    outcome = dlcli("check", *arguments)
    assert outcome.code == code
    assert said in outcome.err
