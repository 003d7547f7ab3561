"""The cases of bad data, once for the tests and the page of the docs: what is laid out, the command, what is said."""

from __future__ import annotations

import io
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from vision.pictures import bomb_png, encode, picture

HEADER = "text,label\n"
# What is right: a header and 40 rows, so that what is appended stands in line 42.
GOOD = HEADER + "".join(f"good film number {n},pos\n" if n % 2 else f"bad film number {n},neg\n" for n in range(40))
LATIN = GOOD.encode() + "a café,pos\n".encode("latin-1")


class Case(NamedTuple):
    """One case.

    Attributes:
        group: the heading under which it stands.
        name: what it is, in a few words.
        make: lays it out in the current folder.
        command: without `dlcli`, and without where the output goes.
        code: the exit code.
        words: which the line must have.
    """

    group: str
    name: str
    make: Callable[[], object]
    command: str
    code: int
    words: tuple[str, ...]


def write(path: str | Path, content: str | bytes) -> Path:
    """Write a file, and the folders that it lies in."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- texts ----------------------------------------------------------------------------------------------------------

_TEXTS: list[tuple[str, str | bytes | None, str, int, list[str], str]] = [
    # name of the file, its content, further flags, exit code, words of the message
    ("tinny.csv", None, "", 2, ["tinny.csv does not exist", "Did you mean 'tiny.csv'?"], "missing"),
    ("a/b/c.csv", None, "", 2, ["a/b/c.csv does not exist"], "missing-folder"),
    ("a.csv", "", "", 3, ["a.csv is empty"], "empty"),
    ("a.csv", HEADER, "", 3, ["a.csv has no rows"], "header-only"),
    ("a.jsonl", "\n\n", "", 3, ["a.jsonl has no rows"], "jsonl-without-rows"),
    (
        "a.csv",
        GOOD,
        "--text-column review",
        3,
        ["a.csv", "'review'", "text, label", "--text-column"],
        "text-column",
    ),
    ("a.csv", GOOD, "--label-column stars", 3, ["'stars'", "text, label", "--label-column"], "label-column"),
    ("a.csv", "text,label,text\na,b,c\n", "", 3, ["'text'", "twice"], "column-twice"),
    (
        "a.csv",
        HEADER + "a,pos\nb,pos\n",
        "",
        3,
        ["a.csv: expected at least two classes, found 1: 'pos'"],
        "one-class",
    ),
    ("a.csv", GOOD + "odd,rare\n", "", 3, ["a.csv: class 'rare' has 1 item"], "class-of-one"),
    ("a.csv", GOOD + "odd,rare\n" * 5, "", 3, ["'rare' has 5 item", "1 of them different"], "class-of-one-text"),
    ("a.csv", HEADER + " ,pos\n,neg\n", "", 3, ["a.csv has no text", "all 2 are blank"], "all-blank"),
    ("a.csv", GOOD + "no label,\n", "", 3, ["a.csv, line 42", "label is empty"], "empty-label"),
    ("a.csv", LATIN, "", 3, ["a.csv, line 42", f"byte {len(GOOD) + 5}:", "0xe9", "--encoding latin-1"], "latin-1"),
    (
        "a.csv",
        GOOD.encode() * 99 + "é".encode()[:1],
        "",
        3,
        [f"line {99 * 41 + 1}, byte {99 * len(GOOD)}:"],
        "cut-off-character",
    ),
    ("a.csv", GOOD.encode("utf-16"), "", 3, ["a.csv is UTF-16", "--encoding utf-16"], "utf-16"),
    ("a.csv", GOOD, "--encoding klingon", 2, ["--encoding", "'klingon'", "latin-1"], "encoding"),
    ("a.csv", GOOD + "a\0b,pos\n", "", 3, ["a.csv, line 42", "NUL"], "nul"),
    ("a.csv", GOOD + '"open,pos\n' + GOOD, "", 3, ["a.csv, line 42", "never closed"], "quote"),
    (
        "a.csv",
        GOOD + '"two\nlines",pos\n"open,pos\n',
        "",
        3,
        ["a.csv, line 44", "never closed"],
        "quote-after-lines",
    ),
    ("a.csv", GOOD + '"shut" too soon,pos\n', "", 3, ["a.csv, line 42", "quote"], "quote-inside"),
    ("a.csv", GOOD + "a,b,pos\n", "", 3, ["line 42", "expected 2 columns", "text, label", "got 3"], "columns-more"),
    ("a.tsv", "text\tlabel\na\tpos\nb\n", "", 3, ["a.tsv, line 3", "expected 2", "got 1"], "columns-fewer"),
    ("a.jsonl", '{"text": "a", "label": "b"}\n{oops\n', "", 3, ["a.jsonl, line 2", "JSON"], "jsonl"),
    ("a.jsonl", "[1, 2]\n", "", 3, ["a.jsonl, line 1", "object", "list"], "jsonl-no-object"),
    ("a.jsonl", "[" * 100_000, "", 3, ["a.jsonl, line 1", "JSON"], "jsonl-deep"),
    (
        "a.jsonl",
        '{"text": ["a"], "label": "b"}\n',
        "",
        3,
        ["line 1", "expected text", "'text'", "list"],
        "jsonl-list",
    ),
    ("a.jsonl", '{"text": null, "label": "b"}\n', "", 3, ["line 1", "expected text"], "jsonl-null"),
    (
        "a.jsonl",
        '{"text": "a", "label": "b"}\n{"txt": "a", "label": "b"}\n',
        "",
        3,
        ["a.jsonl", "line 2", "'text'", "txt, label"],
        "jsonl-key",
    ),
    (
        "a.jsonl",
        '{"text": "a", "label": "b", "more": {"text": 1}}\n{"text": "a", "label": "b", "text": "c"}\n',
        "",
        3,
        ["a.jsonl, line 2: column 'text' stands there twice"],
        "jsonl-key-twice",
    ),
    ("a.xml", "<a/>", "", 2, ["a.xml", ".csv", ".jsonl", "'.xml'"], "suffix"),
    ("a/b/note.md", "x", "", 3, ["has no .txt files"], "folder-without-texts"),
    ("a/note.txt", "x", "", 3, ["has no folders", "for each class"], "folder-without-classes"),
    ("a/pos/1.txt", "x", "", 3, ["at least two classes", "'pos'"], "folder-of-one-class"),
    ("a/pos/1.txt", b"caf\xe9", "", 3, ["a/pos/1.txt", "line 1", "byte 3:", "0xe9"], "folder-latin-1"),
    ("a.csv", GOOD, "--val tiny.tsv", 2, ["tiny.tsv does not exist", "'tiny.csv'"], "missing-val"),
    ("a.csv", GOOD, "--min-count 99", 3, ["99 times", "36 training texts", "--min-count"], "min-count"),
    ("a.csv", GOOD, "--val-split 40", 2, ["--val-split 40", "40 items"], "val-split-of-all"),
    ("a.csv", GOOD, "--val-split 999", 2, ["--val-split 999", "40 items"], "val-split-of-more"),
    ("a.csv", GOOD, "--class-weight good=2", 2, ["no class 'good'", "neg, pos"], "weight-class"),
    ("a.csv", GOOD, "--class-weight poss=2", 2, ["Did you mean 'pos'?"], "weight-near-class"),
    ("a.csv", GOOD, "--class-weight pos=2,pos=3", 2, ["'pos' stands there twice"], "weight-twice"),
    ("a.csv", GOOD, "--class-weight pos=two", 2, ["number", "'pos'", "'two'"], "weight-number"),
    ("a.csv", GOOD, "--class-weight pos=-1", 2, ["positive", "pos=-1"], "weight-negative"),
    ("a.csv", GOOD, "--class-weight heavy", 2, ["'balanced'", "'heavy'"], "weight-word"),
    ("a.csv", GOOD, "--device gpu:7", 2, ["--device", "'gpu:7'", "cpu"], "device"),
]

_READ_ALL_THE_SAME = "Read all the same"


def _texts() -> list[Case]:
    """Return the cases of `train-text` on one file; `tiny.csv` is a good one beside it."""
    cases = []
    for name, content, flags, code, words, title in _TEXTS:
        top = name.partition("/")[0] if content is not None else name

        def make(name: str = name, content: str | bytes | None = content) -> None:
            write("tiny.csv", GOOD)
            if content is not None:
                write(name, content)

        settings = "--" in flags and not words[0].startswith(("a.csv", "a.jsonl"))
        folder = content is not None and "/" in name
        group = "Settings that do not fit the data" if settings else "Folders of texts" if folder else "Tables of texts"
        cases.append(
            Case(group, title.replace("-", " "), make, f"train-text {top} {flags}".strip(), code, tuple(words))
        )
    return cases


def _good_texts() -> None:
    for number in range(12):
        for name in ("pos", "neg"):
            write(f"d/{name}/{number}.txt", f"a {name} film, number {number}")


def _beside_texts(lay: Callable[[], object]) -> Callable[[], None]:
    def make() -> None:
        _good_texts()
        lay()

    return make


def _deep(folder: str, name: str) -> None:
    """Nest folders deeper than any path that can be opened, with a file in the last."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(90):
            Path("n" * 50).mkdir()
            os.chdir("n" * 50)
        Path(name).write_bytes(PNG)
    finally:
        os.chdir(here)


def _socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)


def _link(path: str, to: str) -> None:
    Path(path).symlink_to(to)


_F = "Folders of texts"
_T = "Tables of texts"
_D = "train-text d"
_A = "train-text a.csv"
_TEXT_FOLDERS = [
    Case(_F, "an empty folder", lambda: Path("d").mkdir(), _D, 3, ("d has no folders",)),
    Case(_F, "an empty class", _beside_texts(lambda: Path("d/odd").mkdir()), _D, 3, ("d/odd has no .txt files",)),
    Case(_F, "a NUL", _beside_texts(lambda: write("d/pos/x.txt", "a\0b")), _D, 3, ("d/pos/x.txt: a NUL",)),
    Case(_F, "a pipe", _beside_texts(lambda: os.mkfifo("d/pos/x.txt")), _D, 3, ("d/pos/x.txt: a pipe",)),
    Case(_F, "a socket", _beside_texts(lambda: _socket("d/pos/x.txt")), _D, 3, ("d/pos/x.txt: a pipe, a socket",)),
    Case(_F, "a device", _beside_texts(lambda: _link("d/pos/x.txt", "/dev/zero")), _D, 3, ("d/pos/x.txt: a pipe",)),
    Case(_F, "a link to nothing", _beside_texts(lambda: _link("d/pos/x.txt", "y")), _D, 3, ("a link to nothing",)),
    Case(_F, "a link to itself", _beside_texts(lambda: _link("d/pos/x.txt", "x.txt")), _D, 3, ("d/pos/x.txt",)),
    Case(_F, "a class that is a link to all", _beside_texts(lambda: _link("d/all", ".")), _D, 3, ("lies in",)),
    Case(_F, "folders too deep to open", _beside_texts(lambda: _deep("d/pos", "x.txt")), _D, 3, ("name too long",)),
    Case(
        *(_F, "a class name that steers a terminal", _beside_texts(lambda: write("d/\x1b[31m/x.txt", "x")), _D, 3),
        ("d/\ufffd[31m: the name of a class must be UTF-8 without control characters",),
    ),
    Case(
        *(_F, "a file name that is not UTF-8", _beside_texts(lambda: write(os.fsdecode(b"d/pos/\xff.txt"), "\0")), _D),
        *(3, ("d/pos/\ufffd.txt: a NUL",)),
    ),
    Case(
        *(_F, "a file name of two lines that turns the direction", _beside_texts(lambda: write(_TURNING, "\0")), _D),
        *(3, ("d/pos/a\ufffdb\ufffdc.txt: a NUL",)),
    ),
]
_TURNING = "d/pos/a\nb\u202ec.txt"
_TABLES = [
    Case(_T, "a gzip file", lambda: write("a.csv", b"\x1f\x8b\x08\0rest"), _A, 3, ("is compressed with gzip",)),
    Case(_T, "an Excel file", lambda: write("a.csv", b"PK\x03\x04rest"), _A, 3, ("a zip archive or an Excel file",)),
    Case(
        _T, "200,000 columns", lambda: write("a.csv", ",".join(map(str, range(200_000)))), _A, 3, ("and 199,980 more",)
    ),
    Case(_T, "semicolons", lambda: write("a.csv", "text;label\na;b\n"), _A, 3, ("separated by something else",)),
    Case(_T, "capitals", lambda: write("a.csv", "Text,Label\na,b\n"), _A, 3, ("Did you mean --text-column Text?",)),
    Case(_T, "a pipe", lambda: os.mkfifo("a.csv"), _A, 2, ("a.csv is a pipe",)),
    Case(_T, "a device", lambda: _link("a.csv", "/dev/zero"), _A, 2, ("a.csv is a pipe, a socket or a device",)),
    Case(_T, "a folder", lambda: Path("a.csv").mkdir(), _A, 3, ("a.csv has no folders",)),
    Case(_T, "a link to nothing", lambda: _link("a.csv", "b.csv"), _A, 2, ("a.csv is a link to nothing",)),
    Case(_T, "a name of 300 bytes", lambda: None, f"train-text {'a' * 296}.csv", 5, ("File name too long",)),
    Case(
        *(
            _T,
            "a name that is not UTF-8",
            lambda: write(os.fsdecode(b"\xff.csv"), GOOD),
            f"train-text {chr(0xDCFF)}.csv",
        ),
        *(2, ("is not UTF-8",)),
    ),
    Case(
        *(_T, "half a character in JSON", lambda: write("a.jsonl", '{"text": "a\\ud800", "label": "b"}\n')),
        *("train-text a.jsonl", 3, ("a.jsonl, line 1: 'text' holds a NUL or half a character",)),
    ),
    Case(
        *(
            _T,
            "a number of 5,000 digits in JSON",
            lambda: write("a.jsonl", f'{{"text": "a", "label": {"9" * 5000}}}'),
        ),
        *("train-text a.jsonl", 3, ("a.jsonl, line 1: not valid JSON",)),
    ),
    Case(
        *(_T, "a column name that steers a terminal", lambda: write("a.csv", "\x1b[31m,\u202elabel\na,b\n"), _A, 3),
        ("its columns are: \ufffd[31m, \ufffdlabel",),
    ),
    Case(
        *(
            _T,
            "no header",
            lambda: write("a.csv", "".join(f"text {n},{n}\n" for n in range(30))),
            _A,
            3,
        ),
        ("a.csv has no column 'text'",),
    ),
]
_READ = [
    Case(
        *(_READ_ALL_THE_SAME, "a field of 10 MB", lambda: write("a.csv", f"{GOOD}{'word ' * 2_000_000},pos\n")),
        *("check a.csv", 0, ("1 text is longer than",)),
    ),
    Case(
        *(_READ_ALL_THE_SAME, "mixed line ends", lambda: write("a.csv", GOOD.replace("\n", "\r\n", 9) + "a b,pos\r\n")),
        *("check a.csv", 0, ("no errors, no warnings",)),
    ),
    Case(
        *(_READ_ALL_THE_SAME, "a byte-order mark", lambda: write("a.csv", GOOD.encode("utf-8-sig"))),
        *("check a.csv", 0, ("no errors, no warnings",)),
    ),
    Case(
        *(
            _READ_ALL_THE_SAME,
            "a label that steers a terminal",
            lambda: write("a.csv", GOOD.replace("pos", "\x1b[31mp")),
        ),
        *("check a.csv", 0, ("no errors, no warnings",)),
    ),
    Case(
        *(_READ_ALL_THE_SAME, "classes that differ by case", lambda: write("a.csv", GOOD + "a,POS\nb,POS\n")),
        *("check a.csv", 0, ("differ only by case or space: 'POS' (2), 'pos' (20)",)),
    ),
]

# --- pictures -------------------------------------------------------------------------------------------------------

PNG = encode(picture("L"), "png")
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_P = "Pictures"
_I = "train-image d"


def _pictures(lay: Callable[[], object]) -> Callable[[], None]:
    """Return what lays one thing beside twelve good pictures in two classes."""

    def make() -> None:
        for number in range(6):
            write(f"d/cat/{number}.png", encode(picture("L", height=8, width=8 + number), "png"))
            write(f"d/dog/{number}.png", encode(picture("L", height=9, width=9 + number), "png"))
        lay()

    return make


def _rows(*rows: str) -> Callable[[], None]:
    def make() -> None:
        write("d/1.png", PNG)
        write("d.csv", "\n".join(["path,label", *rows]) + "\n")

    return make


def _bomb() -> None:
    """Write an archive whose array says that it has a hundred billion pixels."""
    header = io.BytesIO()
    about = {"shape": (10**5, 10**3, 10**3), "fortran_order": False, "descr": "|u1"}
    np.lib.format.write_array_header_1_0(header, about)
    with zipfile.ZipFile("d.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
        archive.writestr("y.npy", header.getvalue())


def _at(name: str, content: bytes) -> Callable[[], None]:
    return _pictures(lambda: write(name, content))


_PICTURES = [
    Case(_P, "an empty file", _at("d/cat/x.jpg", b""), _I, 3, ("d/cat/x.jpg: the file is empty (0 bytes)",)),
    Case(_P, "a text", _at("d/cat/x.jpg", b"once upon a time"), _I, 3, ("d/cat/x.jpg", "found text")),
    Case(_P, "an HTML page", _at("d/cat/x.jpg", b"<!DOCTYPE html>"), _I, 3, ("d/cat/x.jpg", "HTML page")),
    Case(_P, "a PDF", _at("d/cat/x.png", b"%PDF-1.7"), _I, 3, ("d/cat/x.png", "found a PDF")),
    Case(_P, "a pointer of Git LFS", _at("d/cat/x.png", _LFS), _I, 3, ("Git LFS",)),
    Case(_P, "zeros alone", _at("d/cat/x.png", bytes(600)), _I, 3, ("nothing but zero bytes",)),
    Case(_P, "a TIFF", _at("d/cat/x.png", b"II*\0\x08\0\0\0"), _I, 3, ("TIFF is not supported",)),
    Case(_P, "HEIC", _at("d/cat/x.jpg", b"\0\0\0\x18ftypheic"), _I, 3, ("HEIC is not supported",)),
    Case(_P, "a cut PNG header", _at("d/cat/x.png", PNG[:20]), _I, 3, ("a damaged PNG: it ends within its header",)),
    Case(_P, "a bomb", _at("d/cat/x.png", bomb_png()), _I, 3, ("60000x60000 pixels",)),
    Case(_P, "several", _pictures(lambda: [write(f"d/cat/x{n}.png", b"") for n in range(12)]), _I, 3, ("and 2 more",)),
    Case(_P, "a pipe", _pictures(lambda: os.mkfifo("d/cat/x.png")), _I, 3, ("d/cat/x.png: a folder, a pipe",)),
    Case(_P, "a socket", _pictures(lambda: _socket("d/cat/x.png")), _I, 3, ("d/cat/x.png: a folder, a pipe",)),
    Case(_P, "a device", _pictures(lambda: _link("d/cat/x.png", "/dev/zero")), _I, 3, ("d/cat/x.png: a folder,",)),
    Case(_P, "a link to nothing", _pictures(lambda: _link("d/cat/x.png", "y")), _I, 3, ("x.png: a link to nothing",)),
    Case(_P, "a link to itself", _pictures(lambda: _link("d/cat/x.png", "x.png")), _I, 3, ("d/cat/x.png",)),
    Case(_P, "a loop of folders", _pictures(lambda: _link("d/cat/x", "../cat")), _I, 3, ("that it lies in",)),
    Case(_P, "folders too deep", _pictures(lambda: _deep("d/cat", "x.png")), _I, 3, ("64 folders deep",)),
    Case(_P, "an empty class", _pictures(lambda: Path("d/emu").mkdir()), _I, 3, ("the folder has no pictures",)),
    Case(
        _P,
        "names that differ by normal form",
        _pictures(lambda: [write(f"d/cat/{name}.png", PNG) for name in ("\u00e9", "e\u0301")]),
        _I,
        3,
        ("stands here twice",),
    ),
    Case(_P, "no classes", lambda: write("d/1.png", PNG), _I, 3, ("d has no folders: 1 pictures lie in it",)),
    Case(_P, "one class", lambda: [write(f"d/cat/{n}.png", PNG) for n in (1, 2)], _I, 3, ("at least two classes",)),
    Case(_P, "a class of one picture", _at("d/emu/1.png", PNG), _I, 3, ("'emu'",)),
    Case(_P, "nothing there", lambda: None, _I, 2, ("d does not exist",)),
    Case(_P, "a zip archive", lambda: write("d.zip", b"PK"), "train-image d.zip", 2, ("Unpack it first",)),
    Case(_P, "a damaged .npz", lambda: write("d.npz", b"PK\x03\x04"), "train-image d.npz", 3, ("cannot be read",)),
    Case(
        *(_P, "an .npz that would fill the memory", _bomb, "train-image d.npz", 3),
        ("d.npz: ", "packed bytes should become 100,000,000,", "which no pictures do"),
    ),
    Case(
        *(_P, "a class name that steers a terminal", _at("d/\x1b[31m\x07/1.png", PNG), _I, 3),
        ("d/\ufffd[31m\ufffd: the name of a class must be UTF-8 without control characters",),
    ),
    Case(
        *(_P, "a file name that steers a terminal", _at("d/cat/\x1b]0;x\x07\u202e.png", b""), _I, 3),
        ("d/cat/\ufffd]0;x\ufffd\ufffd.png: the file is empty",),
    ),
    Case(
        *(_P, "a file name of two lines, of 255 bytes", _at(f"d/cat/{'x' * 249}\n\t.png", b""), _I, 3),
        (f"{'x' * 249}\ufffd\ufffd.png: the file is empty",),
    ),
    Case(
        *(_P, "a file name that is not UTF-8", _at(os.fsdecode(b"d/cat/\xff.png"), b""), _I, 3),
        ("d/cat/\ufffd.png: the file is empty",),
    ),
]
_PATHS = [
    Case("Tables of pictures", name, _rows("d/1.png,a", row, "d/1.png,b"), "train-image d.csv", 3, (words,))
    for name, row, words in (
        ("no such file", "d/2.png,a", "d.csv, line 3: there is no file ./d/2.png"),
        ("no path", ",a", "d.csv, line 3: expected a path"),
        ("no label", "d/1.png,", "d.csv, line 3: the label is empty"),
        ("too few columns", "d/1.png", "d.csv, line 3: expected 2 columns"),
        ("a label that steers a terminal", "d/1.png,\x1b[31m", "d.csv, line 3: the label holds a control character"),
        ("a folder for a file", "d,a", "d.csv, line 3: there is no file ./d"),
        ("a device for a file", "/dev/zero,a", "d.csv, line 3: there is no file /dev/zero"),
    )
]

CASES = [*_texts(), *_TABLES, *_TEXT_FOLDERS, *_PICTURES, *_PATHS, *_READ]
