"""Folders, tables and archives of pictures: every picture, or one line that names what is wrong."""

from __future__ import annotations

import gzip
import os
import struct
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.core.lines import BadRow, strict
from dlcli.errors import DataError, DlcliError, UsageError
from dlcli.vision.config import ImageDataConfig
from dlcli.vision.raw import BadItem, Look, look_all, read_raw
from dlcli.vision.read import LabelledPicture, listing, parts_of, scan_labelled, scan_pictures
from vision.pictures import encode, every_kind, picture, seen

PNG = encode(picture("L"), "png")
CONFIG = ImageDataConfig()


def put(root: Path, *names: str, data: bytes = PNG) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def read(path: Path, part: str = "train") -> list[tuple[str, str]]:
    root = path if path.is_dir() else path.parent
    return [
        (os.path.relpath(found.item, root), found.label) for found in strict(scan_labelled(path, CONFIG, part=part))
    ]


def bad_of(path: Path, part: str = "train") -> list[BadRow]:
    return [found for found in scan_labelled(path, CONFIG, part=part) if isinstance(found, BadRow)]


class TestFolders:
    def test_classes_and_pictures_come_in_natural_order(self, tmp_path: Path) -> None:
        put(tmp_path, "class_10/1.png", "class_2/a10.JPG", "class_2/a9.webp", "class_2/more/deep/x.gif")
        assert read(tmp_path) == [
            ("class_2/a9.webp", "class_2"),
            ("class_2/a10.JPG", "class_2"),
            ("class_2/more/deep/x.gif", "class_2"),
            ("class_10/1.png", "class_10"),
        ]

    def test_parts_are_taken_by_name(self, tmp_path: Path) -> None:
        put(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png")
        assert parts_of(tmp_path) == ["train", "test"]
        assert read(tmp_path) == [("train/a/1.png", "a"), ("train/b/1.png", "b")]
        assert read(tmp_path, "test") == [("test/a/2.png", "a")]
        with pytest.raises(DataError, match="no val/"):
            read(tmp_path, "val")

    def test_what_is_passed_over_is_counted(self, tmp_path: Path) -> None:
        put(
            tmp_path,
            "1.png",
            ".DS_Store",
            "._1.png",
            "Thumbs.db",
            "__MACOSX/1.png",
            ".hidden/2.png",
            ".x",
            "deep/2.png",
        )
        put(tmp_path, "a.tif", "b.TIF", "c.heic", "notes.txt", "LICENSE", data=b"text")
        put(tmp_path, "picture-without-ending")
        found = listing(tmp_path)
        assert [Path(item).name for item in found.pictures] == ["1.png", "2.png", "picture-without-ending"]
        assert (found.hidden, found.system) == (2, 4)
        assert found.unsupported == {".tif": 2, ".heic": 1, ".txt": 1, "without ending": 1}
        assert found.passed_over == "2 hidden, 4 of the system, 1 .heic, 2 .tif, 1 .txt, 1 without ending"

    def test_bad_ones_stand_in_their_place(self, tmp_path: Path) -> None:
        put(tmp_path, "a/1.png", "c/1.png", "d/notes.txt")
        (tmp_path / "b").mkdir()
        (tmp_path / "a" / "2.png").symlink_to("nothing")
        (tmp_path / "c" / "loop").symlink_to(tmp_path / "c")
        found = list(scan_labelled(tmp_path, CONFIG, part="train"))
        assert [row.kind if isinstance(row, BadRow) else row.label for row in found] == [
            *("missing-file", "a", "empty-class", "symlink-loop", "c", "empty-class")
        ]
        lines = [str(row) for row in found if isinstance(row, BadRow)]
        assert lines[0] == f"{tmp_path}/a/2.png: a link to nothing. Delete the link"
        assert lines[1].startswith(f"{tmp_path}/b: the folder has no pictures. Fill it with pictures (.jpg, ")
        assert lines[2] == f"{tmp_path}/c/loop: a link to a folder that it lies in. Delete the link"
        assert lines[3].startswith(f"{tmp_path}/d: the folder has no pictures, only 1 .txt.")
        with pytest.raises(BadRow, match="a link to nothing"):
            read(tmp_path)

    def test_links_to_folders_elsewhere_are_followed(self, tmp_path: Path) -> None:
        put(tmp_path, "store/1.png", "data/a/0.png")
        (tmp_path / "data" / "b").symlink_to(tmp_path / "store")
        assert read(tmp_path / "data") == [("a/0.png", "a"), ("b/1.png", "b")]

    def test_names_that_differ_in_normal_form_alone_are_refused(self, tmp_path: Path) -> None:
        nfc, nfd = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
        put(tmp_path, f"{nfc}/1.png", f"{nfd}/2.png", f"b/{nfc}.png", f"b/{nfd}.png")
        assert [(row.kind, row.source.name) for row in bad_of(tmp_path)] == [
            ("name-collision", tmp_path.name),
            ("name-collision", "b"),
        ]

    def test_a_class_written_in_nfd_has_the_label_of_nfc(self, tmp_path: Path) -> None:
        put(tmp_path, f"{unicodedata.normalize('NFD', 'café')}/1.png", "b/1.png")
        assert {label for _, label in read(tmp_path)} == {"b", unicodedata.normalize("NFC", "café")}

    def test_names_that_are_no_utf_8(self, tmp_path: Path) -> None:
        put(tmp_path, "a/1.png", "b/1.png")
        name = os.fsencode(tmp_path) + b"/a/\xff.png"
        Path(os.fsdecode(name)).write_bytes(PNG)
        items = [found.item for found in strict(scan_labelled(tmp_path, CONFIG, part="train"))]
        assert read_raw(items[1]) == PNG
        Path(os.fsdecode(name)).write_bytes(b"")
        (bad,) = [found for found in look_all(items) if isinstance(found, BadItem)]
        assert str(bad).startswith(f"{tmp_path}/a/\N{REPLACEMENT CHARACTER}.png: the file is empty")
        (tmp_path / os.fsdecode(b"c\xff")).mkdir()
        assert [row.kind for row in bad_of(tmp_path)] == ["bad-name"]

    @pytest.mark.parametrize(
        ("names", "message"),
        [(("1.png",), "has no folders: 1 pictures lie in it directly"), ((), "has no folders")],
    )
    def test_a_folder_without_classes(self, tmp_path: Path, names: tuple[str, ...], message: str) -> None:
        with pytest.raises(DataError, match=message):
            read(put(tmp_path, *names))

    def test_what_is_not_there_or_of_another_type(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="does not exist"):
            read(tmp_path / "x")
        with pytest.raises(UsageError, match=r"expected a folder of pictures, a table .* got '.zip'. Unpack it first"):
            read(put(tmp_path, "x.zip") / "x.zip")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_what_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        put(tmp_path, "a/1.png").joinpath("a/1.png").chmod(0)
        with pytest.raises(BadItem, match="it cannot be read: Permission denied"):
            read_raw(str(tmp_path / "a/1.png"))


class TestTables:
    def test_paths_are_relative_to_the_table(self, tmp_path: Path) -> None:
        put(tmp_path, "p/1.png", "p/2.png")
        table = put(tmp_path, "t.csv", data=f"label,path\na,p/1.png\nb,{tmp_path}/p/2.png\n".encode()) / "t.csv"
        assert read(table) == [("p/1.png", "a"), ("p/2.png", "b")]
        (tmp_path / "t.jsonl").write_text('{"path": "p/1.png", "label": 3}\n')
        assert read(tmp_path / "t.jsonl") == [("p/1.png", "3")]

    def test_bad_rows_are_named_by_their_lines(self, tmp_path: Path) -> None:
        put(tmp_path, "1.png")
        (tmp_path / "t.csv").write_text("path,label\n1.png,a\n2.png,a\n,b\n1.png,\n1.png\n1.png,b\n")
        found = list(scan_labelled(tmp_path / "t.csv", CONFIG, part="train"))
        kinds = [row.kind if isinstance(row, BadRow) else row.label for row in found]
        assert kinds == ["a", "missing-file", "bad-path", "empty-label", "bad-columns", "b"]
        assert str(found[1]) == (
            f"{tmp_path}/t.csv, line 3: there is no file {tmp_path}/2.png. Paths are relative to the table"
        )

    def test_pictures_without_labels(self, tmp_path: Path) -> None:
        put(tmp_path, "a/1.png", "2.png")
        (tmp_path / "t.csv").write_text("id,path\n7,2.png\n")
        assert list(scan_pictures(tmp_path / "t.csv", column="path")) == [
            (f"{tmp_path}/2.png", {"id": "7", "path": "2.png"})
        ]
        assert [cells["file"] for _, cells in strict(scan_pictures(tmp_path, column="path"))] == [
            f"{tmp_path}/2.png",
            f"{tmp_path}/a/1.png",
        ]
        assert [item for item, _ in strict(scan_pictures(tmp_path / "2.png", column="path"))] == [f"{tmp_path}/2.png"]
        (nothing,) = scan_pictures(put(tmp_path, "e/x.txt") / "e", column="path")
        assert isinstance(nothing, BadRow) and "no pictures" in nothing.message


def idx(array: np.ndarray[Any, Any]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(3).integers(0, 256, (5, 4, 6), np.uint8)
LABELS = np.array([3, 0, 1, 3, 9], np.uint8)


class TestArchives:
    @pytest.fixture
    def mnist(self, tmp_path: Path) -> Path:
        put(tmp_path, "train-images-idx3-ubyte.gz", data=gzip.compress(idx(IMAGES)))
        put(tmp_path, "train-labels-idx1-ubyte.gz", data=gzip.compress(idx(LABELS)))
        put(tmp_path, "t10k-images-idx3-ubyte", data=idx(IMAGES[:2]))
        return put(tmp_path, "t10k-labels-idx1-ubyte", data=idx(LABELS[:2]))

    def test_idx(self, mnist: Path) -> None:
        assert parts_of(mnist) == ["train", "test"]
        assert [label for _, label in read(mnist)] == ["3", "0", "1", "3", "9"]
        assert read(mnist, "test") == [("t10k-images-idx3-ubyte::0", "3"), ("t10k-images-idx3-ubyte::1", "0")]
        (found,) = {seen(read_raw(item), channels=1).tobytes() for item, _ in self.items(mnist)[4:]}
        assert found == IMAGES[4].tobytes()

    @staticmethod
    def items(path: Path, part: str = "train") -> list[tuple[str, str]]:
        return [(found.item, found.label) for found in strict(scan_labelled(path, CONFIG, part=part))]

    def test_an_array_that_is_made_to_fill_the_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dlcli.core.unpack._SMALL", 10_000)
        zeros = np.zeros((100, 100, 100), np.uint8)
        np.savez_compressed(tmp_path / "x.npz", x=zeros, y=np.arange(100))
        assert "packed bytes should become 1,000,128, which no pictures do" in self.bad(tmp_path / "x.npz")
        put(tmp_path, "train-images-idx3-ubyte.gz", data=gzip.compress(idx(zeros)))
        put(tmp_path, "train-labels-idx1-ubyte.gz", data=gzip.compress(idx(np.arange(100, dtype=np.uint8))))
        (tmp_path / "x.npz").unlink()
        assert "packed bytes should become 1,000,000, which no pictures do" in self.bad(tmp_path)

    def test_npz_as_keras_has_it(self, tmp_path: Path) -> None:
        colors = np.random.default_rng(4).integers(0, 256, (2, 4, 6, 3), np.uint8)
        path = tmp_path / "c.npz"
        np.savez(path, x_train=colors, y_train=np.array([[1], [2]]), x_test=IMAGES, y_test=LABELS)
        assert parts_of(path) == ["train", "test"]
        assert self.items(path) == [(f"{path}::0", "1"), (f"{path}::1", "2")]
        assert np.array_equal(seen(read_raw(f"{path}::1")), colors[1])
        assert self.items(path, "test")[0][0] == f"{path}::2"
        looks = list(look_all(item for item, _ in self.items(path, "test")))
        assert all(isinstance(found, Look) and found.header.is_gray for found in looks)
        np.savez_compressed(tmp_path / "n.npz", images=IMAGES, labels=np.array(["a", "b", "a", "b", "c"]))
        assert [label for _, label in self.items(tmp_path / "n.npz", "test")] == ["a", "b", "a", "b", "c"]

    def test_cifar_with_its_names(self, tmp_path: Path) -> None:
        records = np.random.default_rng(5).integers(0, 256, (3, 3073), np.uint8)
        records[:, 0] = [1, 0, 1]
        put(tmp_path, "data_batch_1.bin", data=records[:2].tobytes())
        put(tmp_path, "data_batch_2.bin", data=records[2:].tobytes())
        put(tmp_path, "batches.meta.txt", data=b"airplane\nautomobile\n\n")
        assert [label for _, label in self.items(tmp_path)] == ["automobile", "airplane", "automobile"]
        pixels = seen(read_raw(self.items(tmp_path)[2][0]))
        assert np.array_equal(pixels, records[2, 1:].reshape(3, 32, 32).transpose(1, 2, 0))

    def bad(self, path: Path) -> str:
        with pytest.raises(DlcliError) as caught:
            self.items(path)
        assert caught.value.hint and "\n" not in caught.value.message
        return caught.value.message

    def test_idx_that_is_damaged(self, mnist: Path) -> None:
        images = mnist / "train-images-idx3-ubyte.gz"
        whole = images.read_bytes()
        images.write_bytes(whole[:-30])
        assert self.bad(mnist).startswith(f"{images} cannot be read: ")
        images.write_bytes(gzip.compress(idx(IMAGES)[:-7]))
        assert self.bad(mnist) == f"{images} should have 120 bytes behind its header, it has 113"
        images.write_bytes(gzip.compress(b"text, and no IDX file at all"))
        assert self.bad(mnist) == f"{images} is no IDX file of 3 dimension(s)"
        images.write_bytes(gzip.compress(idx(IMAGES[:4])))
        assert self.bad(mnist) == f"{mnist}/train-labels-idx1-ubyte.gz has 5 labels, {images.name} has 4 pictures"
        (mnist / "train-labels-idx1-ubyte.gz").unlink()
        assert self.bad(mnist).startswith(f"{images} has no labels: there is no train-labels-idx1-ubyte")

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"a": IMAGES}, "has no pictures: its arrays are a"),
            ({"x": IMAGES}, "has no array 'y'"),
            ({"x": IMAGES, "y": LABELS[:3]}, "has 3 labels for 5 pictures"),
            ({"x": IMAGES / 255, "y": LABELS}, ": expected uint8 pixels in 'x', got float64"),
            ({"x": IMAGES[0], "y": LABELS}, ": expected 'x' of shape"),
            ({"x": IMAGES, "y": LABELS / 2}, ": expected one whole number or string a picture as labels"),
            ({"x": IMAGES, "y": LABELS.astype(object)}, ": array 'y' holds Python objects, which are not loaded"),
        ],
    )
    def test_npz_that_does_not_fit(self, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
        np.savez(tmp_path / "x.npz", **arrays)
        assert self.bad(tmp_path / "x.npz").startswith(
            f"{tmp_path}/x.npz" + ("" if message[0] == ":" else " ") + message
        )

    def test_npz_that_is_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npz"
        np.savez_compressed(path, x=IMAGES, y=LABELS)
        whole = path.read_bytes()
        for end in (0, 10, 200, len(whole) - 5):
            path.write_bytes(whole[:end])
            assert self.bad(path).startswith(f"{path} cannot be read: ")
        path.write_bytes(whole[:60] + bytes(40) + whole[100:])
        assert str(path) in self.bad(path)

    def test_cifar_that_is_damaged(self, tmp_path: Path) -> None:
        file = put(tmp_path, "data_batch_1.bin", data=bytes(3000)) / "data_batch_1.bin"
        assert self.bad(tmp_path).startswith(f"{file} should have a multiple of 3073 bytes")
        file.write_bytes(bytes([77]) * 3073)
        assert self.bad(tmp_path) == f"{file} has label 77, expected 0 to 9"

    def test_a_number_that_no_archive_has(self, mnist: Path) -> None:
        with pytest.raises(BadItem, match=r"picture 9: .* has no picture 9"):
            read_raw(f"{mnist}/t10k-images-idx3-ubyte::9")


def test_a_look_tells_equal_files_and_names_bad_ones(tmp_path: Path) -> None:
    kinds = every_kind()
    put(tmp_path, "1.png", "2.png")
    put(tmp_path, "3.jpg", data=kinds["jpeg exif 6"])
    put(tmp_path, "4.jpg", data=b"<html>")
    found = list(look_all(str(tmp_path / name) for name in ("1.png", "2.png", "3.jpg", "4.jpg", "5.jpg")))
    first, second, third, fourth, fifth = found
    assert isinstance(first, Look) and isinstance(second, Look) and isinstance(third, Look)
    assert first.digest == second.digest != third.digest
    assert (third.header.size, third.size) == ((53, 37), len(kinds["jpeg exif 6"]))
    assert isinstance(fourth, BadItem) and fourth.kind == "not-a-picture"
    assert isinstance(fifth, BadItem) and fifth.kind == "missing-file"


def test_one_class_is_read_here_and_refused_where_names_are_made(tmp_path: Path) -> None:
    assert isinstance(next(scan_labelled(put(tmp_path, "a/1.png"), CONFIG, part="train")), LabelledPicture)


def test_a_link_back_to_the_data_brings_no_other_class(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(encode(picture(), "png"))
    (tmp_path / "a" / "all").symlink_to(tmp_path)
    rows = list(scan_labelled(tmp_path, ImageDataConfig(), part="train"))
    assert [row.label for row in rows if not isinstance(row, BadRow)] == ["a", "b"]
    assert [row.kind for row in rows if isinstance(row, BadRow)] == ["symlink-loop"]
