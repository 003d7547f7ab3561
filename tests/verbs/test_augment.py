"""`dlcli augment`: the same files for any number of threads and after any stop; nothing of anybody else is touched."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest
from conftest import Outcome
from PIL import Image

from dlcli.vision.augmentation.manifest import make_again, read_manifest
from dlcli.vision.augmentation.pictures import decode_picture
from verbs.helpers import snapshot

Command = Callable[..., Outcome]
BOOK = ("--augment", "book")
EVERYTHING = tuple(
    shlex.split("--augment strong --vertical-flip --channel-shift 9 --blur 1 --noise 5 --erasing 0.5 --seed 7")
)


def picture(seed: int, size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    """Return a picture with something to see: a gradient, and a rectangle of another colour."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, size[0]) + np.linspace(0, 55, size[1])[:, None]
    pixels = (ramp[..., None] * random.uniform(0.3, 1, 3)).astype(np.uint8)
    pixels[5:15, 8:20] = random.integers(0, 256, 3)
    return Image.fromarray(pixels).convert(mode)


def fill(folder: Path, count: int = 6) -> Path:
    """Write pictures of two classes, one of them nested; return the folder."""
    for number in range(count):
        path = folder / ("cat" if number % 2 else "dog/young") / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path, quality=95)
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos")


def done(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    result: dict[str, Any] = json.loads(outcome.out)
    return result


def refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.err
    assert outcome.lines[-1].startswith("dlcli: ")
    for word in words:
        assert word in outcome.lines[-1]


def test_originals_stay_byte_by_byte_and_copies_stand_beside_them(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    before = snapshot(photos)
    result = done(dlcli("augment", photos, "out", "--copies", 2, *BOOK, "--json"))
    assert (result["pictures"], result["originals"], result["copies"], result["skipped"]) == (6, 6, 12, [])
    assert snapshot(photos) == before
    after = snapshot(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    names = {name.removesuffix(".jpg") for name in before}
    copies = {f"{name}-aug{copy}.jpg" for name in names for copy in (1, 2)}
    assert set(after) == set(before) | copies | {"augmentation.jsonl"}
    assert len(set(after.values())) == len(after)
    with Image.open(tmp_path / "out" / "cat" / "1-aug1.jpg") as copy:
        assert (copy.size, copy.mode, copy.format) == ((40, 30), "RGB", "JPEG")


def test_the_tree_is_the_same_for_any_number_of_workers(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    for workers in (1, 2, 8):
        done(dlcli("augment", photos, f"out{workers}", "--workers", workers, *EVERYTHING, "--json"))
    trees = [snapshot(tmp_path / f"out{workers}") for workers in (1, 2, 8)]
    assert trees[0] == trees[1] == trees[2]
    assert len(trees[0]) == 6 * 5 + 1


def test_another_picture_changes_no_other_copy(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    done(dlcli("augment", photos, "few", *EVERYTHING, "--copies", 2, "--json"))
    picture(99).save(photos / "cat" / "0.jpg")
    done(dlcli("augment", photos, "more", *EVERYTHING, "--copies", 3, "--json"))
    few, more = snapshot(tmp_path / "few"), snapshot(tmp_path / "more")
    assert len(more) == 7 * 4 + 1
    assert all(more[name] == content for name, content in few.items() if name != "augmentation.jsonl")


@pytest.mark.parametrize("flags", [(), ("--image-size", "20x24", "--resize", "crop"), ("--format", "webp")])
def test_each_copy_can_be_made_again_from_the_manifest(
    dlcli: Command, photos: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    done(dlcli("augment", photos, "out", *EVERYTHING, "--copies", 2, *flags, "--json"))
    header, rows = read_manifest(tmp_path / "out")
    assert len(rows) == 18
    for row in rows:
        source = (photos / row["source"]).read_bytes()
        assert make_again(header, row, source) == (tmp_path / "out" / row["file"]).read_bytes(), row["file"]
    assert sum(row["copy"] == 0 for row in rows) == 6
    assert str(tmp_path) not in (tmp_path / "out" / "augmentation.jsonl").read_text()


def test_a_killed_augment_goes_on_to_the_same_tree(tmp_path: Path, dlcli: Command) -> None:
    photos = fill(tmp_path / "photos", 60)
    for path in photos.rglob("*.jpg"):
        picture(int(path.stem), (240, 180)).save(path, quality=95)
    arguments = ["augment", str(photos), "out", *EVERYTHING, "--workers", "2"]
    done(dlcli("augment", photos, "whole", *EVERYTHING, "--json"))
    process = subprocess.Popen([sys.executable, "-m", "dlcli", *arguments], stderr=subprocess.DEVNULL, cwd=tmp_path)
    journal = tmp_path / "out" / ".augmentation" / "journal.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and (not journal.is_file() or journal.read_text().count("\n") < 8):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "augmentation.jsonl").exists()
    with journal.open("a") as file:
        file.write('{"source": "cat/1.jpg", "ro')  # As a kill in the middle of a line leaves it.
    (tmp_path / "out" / ".augmentation" / "7.tmp").write_bytes(b"a part")
    (tmp_path / "out" / ".augmentation.7.tmp.jsonl").write_bytes(b"a part of the manifest")
    (tmp_path / "out" / json.loads(journal.read_text().splitlines()[1])["rows"][1]["file"]).write_bytes(b"damaged")
    outcome = dlcli(*arguments, "--json")
    assert "going on with the augment that was stopped" in outcome.err
    assert 0 < done(outcome)["reused"] < 300
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_ctrl_c_leaves_what_goes_on(
    dlcli: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(dlcli("augment", photos, "whole", *BOOK, "--json"))
    advanced = 0

    def interrupt(self: object, count: int = 1) -> None:
        nonlocal advanced
        advanced += count
        if advanced > 6 + 5:  # All were looked at, two are copied.
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dlcli.console.Console.advance", interrupt)
        outcome = dlcli("augment", photos, "out", *BOOK)
        assert outcome.code == 130
        assert "to go on, run the same command again" in outcome.err
    assert not (tmp_path / "out" / "augmentation.jsonl").exists()
    refused(dlcli("augment", photos, "out", *BOOK, "--seed", 2), 5, "that was stopped, with other settings", "--force")
    assert done(dlcli("augment", photos, "out", *BOOK, "--json"))["reused"] == 5
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_a_stop_between_the_last_steps_leaves_a_finished_folder(
    dlcli: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    done(dlcli("augment", photos, "whole", *BOOK, "--json"))
    with monkeypatch.context() as patch:
        patch.setattr("dlcli.vision.augmentation.output.shutil.rmtree", killed)
        assert dlcli("augment", photos, "out", *BOOK).code == 130
    assert (tmp_path / "out" / "augmentation.jsonl").exists()
    done(dlcli("augment", photos, "out", *BOOK, "--json"))
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")
    (tmp_path / "out" / ".augmentation").mkdir()
    refused(dlcli("augment", photos, "out", *BOOK), 5, "out holds what augment wrote")
    assert not (tmp_path / "out" / ".augmentation").exists()


def test_a_full_disk_is_said_and_the_rest_can_be_written_later(
    dlcli: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, count = os.replace, 0

    def full(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("dlcli.vision.augmentation.output.os.replace", full)
        refused(dlcli("augment", photos, "out", *BOOK), 5, "the disk is full", "run the same command again")
    done(dlcli("augment", photos, "whole", *BOOK, "--json"))
    done(dlcli("augment", photos, "out", *BOOK, "--json"))
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_only_training_pictures_get_copies(dlcli: Command, tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        fill(tmp_path / "data" / part, 2)
    result = done(dlcli("augment", "data", "out", *BOOK, "--copies", 1, "--json"))
    assert (result["originals"], result["copies"]) == (6, 2)
    assert all("-aug" not in name for name in snapshot(tmp_path / "out" / "test"))
    result = done(dlcli("augment", "data", "all", *BOOK, "--copies", 1, "--parts", "train,val", "--json"))
    assert (result["originals"], result["copies"]) == (6, 4)
    shutil.rmtree(tmp_path / "data" / "train")
    refused(dlcli("augment", "data", "none", *BOOK), 2, "has val/, test/ and no train/", "--parts")
    refused(dlcli("augment", "data", "none", *BOOK, "--parts", "tset"), 2, "Did you mean 'test'?")


def test_copies_alone_in_another_size_format_and_quality(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    flags = ("--no-originals", "--copies", 1, "--image-size", 24, "--format", "png")
    done(dlcli("augment", photos, "out", *BOOK, *flags, "--json"))
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".jsonl"]
    assert sorted(path.name for path in files) == [f"{number}-aug1.png" for number in range(6)]
    for path in files:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("PNG", (24, 24))
    sizes = []
    for quality in (30, 90):
        done(dlcli("augment", photos, f"q{quality}", *BOOK, "--quality", quality, "--json"))
        sizes.append((tmp_path / f"q{quality}" / "cat" / "1-aug1.jpg").stat().st_size)
    assert sizes[0] < sizes[1]


def test_each_kind_of_picture_is_read_as_training_reads_it(dlcli: Command, tmp_path: Path) -> None:
    from dlcli.core.backend import tf
    from dlcli.vision.decode import decode_native

    folder = tmp_path / "odd" / "all"
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1).save(folder / "turned.jpg", exif=exif)
    picture(2).save(folder / "plain.jpg")
    picture(3, mode="L").save(folder / "grey.jpg")
    picture(4, mode="CMYK").save(folder / "print.jpg")
    picture(5).save(folder / "true.png")
    picture(6, mode="L").save(folder / "grey.png")
    picture(7, mode="P").save(folder / "palette.png")
    clear = picture(8, mode="RGBA")
    clear.putalpha(100)
    clear.save(folder / "clear.png")
    picture(9).save(folder / "key.png", transparency=(0, 0, 0))
    picture(10, mode="P").save(folder / "old.gif")
    picture(11).save(folder / "raw.bmp")
    picture(12).save(folder / "web.webp")
    picture(13).save(folder / "really.png", format="JPEG")
    graphs = {
        channels: tf.function(lambda data, channels=channels: decode_native(data, channels=channels), autograph=False)
        for channels in (1, 3)
    }
    for path in folder.iterdir():
        data = path.read_bytes()
        found = decode_picture(str(path), data)
        expected = graphs[found.shape[2]](tf.constant(data)).numpy()
        assert np.array_equal(found, expected), path.name
    done(dlcli("augment", "odd", "out", *EVERYTHING, "--copies", 1, "--json"))
    copies = {}
    for path in (tmp_path / "out" / "all").glob("*-aug1*"):
        with Image.open(path) as image:
            copies[path.name] = (image.format, image.mode, image.size)
    wide = (40, 30)
    assert copies == {
        "turned-aug1.jpg": ("JPEG", "RGB", (30, 40)),
        "plain-aug1.jpg": ("JPEG", "RGB", wide),
        "grey-aug1.jpg": ("JPEG", "L", wide),
        "print-aug1.jpg": ("JPEG", "RGB", wide),
        "true-aug1.png": ("PNG", "RGB", wide),
        "grey-aug1.png": ("PNG", "L", wide),
        "palette-aug1.png": ("PNG", "RGB", wide),
        "clear-aug1.png": ("PNG", "RGB", wide),
        "key-aug1.png": ("PNG", "RGB", wide),
        "old-aug1.png": ("PNG", "RGB", wide),
        "raw-aug1.bmp": ("BMP", "RGB", wide),
        "web-aug1.webp": ("WEBP", "RGB", wide),
        "really-aug1.png": ("PNG", "RGB", wide),
    }


# --- bad input ----------------------------------------------------------------------------------------------------


def _truncated() -> bytes:
    stream = io.BytesIO()
    picture(0, (200, 150)).save(stream, "JPEG", quality=95)
    return stream.getvalue()[: stream.tell() // 2]


BAD = {
    "empty.jpg": (b"", "empty (0 bytes)"),
    "text.jpg": (b"hello, this is no picture", "expected a JPEG, PNG"),
    "short.jpg": (_truncated(), "damaged"),
    "heic.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not supported"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_picture_stops_and_is_named_or_skipped_and_listed(
    dlcli: Command, photos: Path, tmp_path: Path, name: str
) -> None:
    content, what = BAD[name]
    (photos / "cat" / name).write_bytes(content)
    outcome = dlcli("augment", photos, "out", *BOOK, "--copies", 1)
    refused(outcome, 3, f"cat/{name}", what, "--skip-bad")
    assert outcome.err.count(name) == 1
    assert not (tmp_path / "out" / "augmentation.jsonl").exists()
    result = done(dlcli("augment", photos, "out", *BOOK, "--copies", 1, "--skip-bad", "--json"))
    assert (result["pictures"], result["originals"], result["copies"]) == (6, 6, 6)
    listed = [json.loads(line) for line in (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()]
    assert [row["source"] for row in listed] == [f"cat/{name}"] == [row["source"] for row in result["skipped"]]
    assert what in listed[0]["what"]
    assert not list((tmp_path / "out" / "cat").glob(f"{Path(name).stem}*"))
    (photos / "cat" / name).unlink()
    done(dlcli("augment", photos, "clean", *BOOK, "--copies", 1, "--json"))
    (tmp_path / "out" / "skipped.jsonl").unlink()
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "clean")


def test_all_bad_pictures_are_named_at_once(dlcli: Command, photos: Path) -> None:
    for name, (content, _) in BAD.items():
        if name != "short.jpg":
            (photos / "cat" / name).write_bytes(content)
    (photos / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    (photos / "empty").mkdir()
    outcome = dlcli("augment", photos, "out", *BOOK)
    refused(
        outcome, 3, "5 pictures", "cat/empty.jpg", "cat/text.jpg", "cat/heic.jpg", "cat/gone.jpg", "a link to nothing"
    )
    assert "photos/empty: the folder has no pictures" in outcome.lines[-1]
    assert not Path("out").exists()


def test_what_is_hidden_or_no_picture_is_left_where_it_is(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    (photos / ".DS_Store").write_bytes(b"x")
    (photos / "cat" / "._1.jpg").write_bytes(b"x")
    (photos / "cat" / "notes.txt").write_text("x")
    outcome = dlcli("augment", photos, "out", *BOOK, "--copies", 1)
    assert outcome.code == 0
    assert "not written, since they are no pictures that can be read: 1 .txt" in outcome.err
    assert len(snapshot(tmp_path / "out")) == 13


def test_a_name_that_is_no_utf8_is_kept(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    picture(1).save(photos / "cat" / name)
    done(dlcli("augment", photos, "out", *BOOK, "--copies", 1, "--json"))
    assert (tmp_path / "out" / "cat" / os.fsdecode(b"caf\xe9-aug1.jpg")).is_file()
    header, rows = read_manifest(tmp_path / "out")
    row = next(row for row in rows if row["source"] == f"cat/{name}" and row["copy"])
    again = make_again(header, row, (photos / "cat" / name).read_bytes())
    assert again == (tmp_path / "out" / row["file"]).read_bytes()


USAGE: list[Any] = [
    (["photos", "out"], "nothing is to be changed", "--augment book"),
    (["photos", *BOOK], "OUT is missing", "--preview"),
    (["nothere", "out", *BOOK], "nothere does not exist", ""),
    (["photos/cat/1.jpg", "out", *BOOK], "is a file, expected a folder", ""),
    (["photos", "photos", *BOOK], "OUT is SRC itself", ""),
    (["photos", "photos/out", *BOOK], "lies in SRC", ""),
    (["photos/cat", "photos", *BOOK], "lies in OUT", ""),
    (["photos", "out", *BOOK, "--zoom", "2"], "--zoom: expected a number such as 0.2", "got '2'"),
    (["photos", "out", *BOOK, "--copies", "0"], "--copies: expected at least 1", ""),
    (["photos", "out", *BOOK, "--preview", "grid.gif"], "--preview: expected a file ending in .png", ""),
]


@pytest.mark.parametrize(("arguments", "what", "more"), USAGE)
def test_usage_is_said_in_one_line(dlcli: Command, photos: Path, arguments: list[str], what: str, more: str) -> None:
    before = snapshot(photos)
    refused(dlcli("augment", *arguments), 2, what, more)
    assert snapshot(photos) == before
    assert not Path("out").exists()


def test_nothing_of_anybody_elses_is_touched(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("mine")
    for force in ((), ("--force",)):
        refused(dlcli("augment", photos, "mine", *BOOK, *force), 5, "is not empty, and augment did not write it")
    (tmp_path / "file").write_text("mine")
    refused(dlcli("augment", photos, "file", *BOOK), 5, "file is a file")
    done(dlcli("augment", photos, "out", *BOOK, "--json"))
    refused(dlcli("augment", photos, "out", *BOOK), 5, "out holds what augment wrote", "--force")
    (tmp_path / "out" / "cat" / "mine.txt").write_text("mine")
    refused(dlcli("augment", photos, "out", *BOOK, "--force"), 5, "cat/mine.txt, which augment did not write")
    (tmp_path / "out" / "cat" / "mine.txt").unlink()
    done(dlcli("augment", photos, "out", *BOOK, "--copies", 1, "--force", "--json"))
    assert len(snapshot(tmp_path / "out")) == 13


def test_two_at_a_time_do_not_write_one_folder(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    with filelock.FileLock(tmp_path / ".out.lock"):
        refused(dlcli("augment", photos, "out", *BOOK), 5, "another process writes out")
    done(dlcli("augment", photos, "out", *BOOK, "--json"))


def test_two_files_of_one_name_are_refused(dlcli: Command, photos: Path) -> None:
    picture(1).save(photos / "cat" / "1.png")
    refused(dlcli("augment", photos, "out", *BOOK, "--format", "webp"), 2, "would both be called cat/1-aug1.webp")
    done(dlcli("augment", photos, "out", *BOOK, "--json"))


def test_a_preview_is_a_picture_and_nothing_else(dlcli: Command, photos: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    result = done(dlcli("augment", photos, "--preview", "grid.png", *EVERYTHING, "--json"))
    assert result["pictures"] == 4
    after = snapshot(tmp_path)
    assert set(after) - set(before) == {"grid.png"}
    with Image.open("grid.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape[1] > 15 * 136  # A column for each of 16 operations, and the original.
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000
    refused(dlcli("augment", photos, "--preview", "grid.png", *BOOK), 5, "grid.png exists already", "--force")
    refused(dlcli("augment", photos, "--preview", "photos/grid.png", *BOOK), 2, "lies in SRC")
    done(dlcli("augment", photos, "--preview", "grid.png", *BOOK, "--force", "--json"))


def test_a_preview_needs_no_operation(dlcli: Command, photos: Path) -> None:
    outcome = dlcli("augment", photos, "--preview", "grid.png")
    assert outcome.code == 0, outcome.err
    assert "this is what --augment book does" in outcome.err
    with Image.open("grid.png") as grid:
        assert min(grid.size) > 100
