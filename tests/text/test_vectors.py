"""Pretrained word vectors: what is read, what is left, and one line for each file that is none."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from dlcli.core.progress import Silent
from dlcli.errors import DataError, DlcliError, UsageError
from dlcli.text import vectors
from dlcli.text.vectors import Vectors, read_vectors

Write = Callable[[str, bytes], Path]

GLOVE = "the 0.5 -1 2e-1\nfilm 1 2 3\n. . . 7 8 9\ngüt -.5 +4 6.\n".encode()
WORD2VEC = b"4 3\n" + GLOVE.replace(b"\n", b" \n")
WORDS = ["film", "absent", "güt", ". . .", "Film"]
ROWS = [[1, 2, 3], [0, 0, 0], [-0.5, 4, 6], [7, 8, 9], [0, 0, 0]]
FOUND = [True, False, True, True, False]


class Warned(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.tasks: list[str] = []

    def begin(self, task: str, total: int | None = None) -> None:
        self.tasks.append(task)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return _write


def read(path: Path, words: Sequence[str] = WORDS) -> Vectors:
    return read_vectors(path, words, Silent())


def refused(path: Path, words: Sequence[str] = WORDS) -> str:
    with pytest.raises(DataError) as caught:
        read(path, words)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return str(caught.value).replace(str(path), "FILE")


class TestFormats:
    @pytest.mark.parametrize(
        "content",
        [
            GLOVE,
            GLOVE.removesuffix(b"\n"),
            GLOVE.replace(b"\n", b"\r\n"),
            b"\xef\xbb\xbf" + GLOVE,
            GLOVE + b"\n \n",
            WORD2VEC,
            b"\xef\xbb\xbf" + WORD2VEC,
        ],
    )
    @pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.bin"])
    @pytest.mark.parametrize("packed", [False, True])
    def test_all_give_the_same_vectors(self, write: Write, content: bytes, name: str, packed: bool) -> None:
        progress = Warned()
        path = write(name + ".gz" * packed, gzip.compress(content) if packed else content)
        found = read_vectors(path, WORDS, progress)
        assert found.rows.tolist() == ROWS
        assert found.rows.dtype == np.float32
        assert found.found.tolist() == FOUND
        assert (found.dim, found.lines, found.coverage) == (3, 4, 0.6)
        assert progress.tasks == [f"reading {path}"]
        assert progress.warnings == []

    def test_gzip_is_told_by_the_content(self, write: Write) -> None:
        assert read(write("v.txt", gzip.compress(GLOVE))).rows.tolist() == ROWS
        assert read(write("v.txt.gz", GLOVE)).rows.tolist() == ROWS

    def test_two_spaces_behind_a_word(self, write: Write) -> None:
        assert read(write("v.txt", b"a 1 2\nfilm  3 4\n"), ["film"]).rows.tolist() == [[3, 4]]

    def test_the_first_line_of_a_word_counts(self, write: Write) -> None:
        assert read(write("v.txt", b"a 1 2\nb 3 4\na 5 6\n"), ["a"]).rows.tolist() == [[1, 2]]

    def test_words_match_as_they_are_spelled(self, write: Write) -> None:
        found = read(write("v.txt", b"The 1\nTHE 2\nof 3\n"), ["the", "of", "The"])
        assert found.rows.tolist() == [[0], [3], [1]]

    def test_words_in_another_encoding_are_passed_over(self, write: Write) -> None:
        found = read(write("v.txt", b"g\xfct 1 2\n\xe2\x80 3 4\ngood 5 6\n"), ["güt", "good", "\ud800"])
        assert found.rows.tolist() == [[0, 0], [5, 6], [0, 0]]
        assert found.lines == 3

    def test_words_may_hold_other_spaces_and_line_ends(self, write: Write) -> None:
        content = "a\u00a0b 1 2\nc\u2028d 3 4\ne\rf 5 6\ng\x85 7 8\n".encode()
        words = ["a\u00a0b", "c\u2028d", "e\rf", "g\x85"]
        assert read(write("v.txt", content), words).rows.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]

    def test_numbers_are_the_nearest_of_float32(self, write: Write) -> None:
        values = np.random.default_rng(0).normal(size=(200, 25)).astype(np.float32)
        content = "".join(f"w{n} {' '.join(map(str, row.tolist()))}\n" for n, row in enumerate(values))
        found = read(write("v.txt", content.encode()), [f"w{n}" for n in reversed(range(200))])
        assert np.array_equal(found.rows, values[::-1])

    def test_no_words_need_no_vectors(self, write: Write) -> None:
        found = read(write("v.txt", GLOVE), [])
        assert (found.rows.shape, found.coverage, found.lines) == ((0, 3), 0.0, 4)

    def test_a_file_longer_than_the_buffer(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vectors, "_BUFFER", 64)
        content = b"".join(b"w%d %d.5 %d\n" % (n, n, n) for n in range(5000))
        for packed in (content, gzip.compress(content)):
            found = read(write("v", packed), ["w0", "w2500", "w4999"])
            assert found.rows.tolist() == [[0.5, 0], [2500.5, 2500], [4999.5, 4999]]
            assert found.lines == 5000


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"a 1 2 3\nb 1 2\n", "FILE, line 2: expected a word and 3 numbers, as the first line has, got 2"),
            (b"a 1 2 3\nb 1 2 3 4\n", "FILE, line 2: expected a word and 3 numbers, as the first line has, got 4"),
            (b"a 1 2 3\n\nb\n", "FILE, line 3: expected a word and 3 numbers, as the first line has, got 0"),
            (b"2 4\na 1 2 3\nb 1 2 3\n", "FILE, line 2: expected a word and 4 numbers, as line 1 says, got 3"),
            (b"2 2\na 1 2 3\nb 1 2 3\n", "FILE, line 2: expected a word and 2 numbers, as line 1 says, got 3"),
            (b"1 99999999999\na 1 2\n", "FILE, line 2: expected a word and 99999999999 numbers, as line 1 says, got 2"),
            (b"a 1 2\nfilm 1 x\n", "FILE, line 2: expected a word and 2 finite numbers, got 'x'"),
            (b"a 1 2\nfilm 1 nan\n", "FILE, line 2: expected a word and 2 finite numbers, got 'nan'"),
            (b"a 1 2\nfilm -inf 1\n", "FILE, line 2: expected a word and 2 finite numbers, got '-inf'"),
            (b"a 1 2\nfilm 1 1e39\n", "FILE, line 2: expected a word and 2 finite numbers, got '1e39'"),
            (b"This is a text\n", "FILE, line 1: expected a word and 3 finite numbers, got 'is'"),
            (b"text,label\ngood,pos\n", "FILE, line 1: expected a word and its numbers with spaces between"),
            (b"film\t1\t2\n", "got 'film\\t1\\t2'"),
            (b"<" + b"x" * 100, f"got '<{'x' * 39}...'"),
            (b"", "FILE is empty"),
            (b"\n \n", "FILE has no vectors"),
            (b"5 3\n", "FILE has no vectors"),
            (b"4 1\nfilm 1\na 2\n", "FILE is cut off: line 1 says 4 words, and 2 follow. Download it again"),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_bad_content(self, write: Write, content: bytes, message: str, packed: bool) -> None:
        assert message in refused(write("v.txt", gzip.compress(content) if packed else content))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"PK\x03\x04" + b"x" * 50, "FILE is a zip archive, expected word vectors as text. Unpack it, and name"),
            (b"\xfd7zXZ\x00\x00", "FILE is compressed with xz"),
            (b"BZh91AY", "FILE is compressed with bzip2"),
            (b"\xba\x16\x4f\x2f\x0c\x00", "FILE is a fastText model, expected word vectors as text. Name the .vec"),
            ("a 1 2\n".encode("utf-16"), "FILE is UTF-16, expected word vectors as text. Save it as UTF-8"),
            (b"\x93NUMPY\x01\x00v\x00", "FILE is a binary file, expected word vectors as text"),
            (
                b"2 3\nfilm " + np.arange(3, dtype=np.float32).tobytes() + b"a " + bytes(12),
                "FILE is a binary file of word2vec, expected word vectors as text. Save it as text, as gensim's",
            ),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_files_of_other_kinds(self, write: Write, content: bytes, message: str, packed: bool) -> None:
        assert message in refused(write("v.txt", gzip.compress(content) if packed else content))

    @pytest.mark.parametrize("damage", ["short", "changed", "twice"])
    def test_a_damaged_gzip_file(self, write: Write, damage: str) -> None:
        packed = gzip.compress(b"".join(b"w%d %d\n" % (n, n * n) for n in range(20_000)))
        middle = len(packed) // 2
        content = {
            "short": packed[:middle],
            "changed": packed[:middle] + bytes(64) + packed[middle + 64 :],
            "twice": packed + b"something else",
        }[damage]
        message = refused(write("v.txt.gz", content), ["w1"])
        assert message.startswith("FILE")
        assert message.endswith("The file is damaged or cut off: download it again")

    def test_more_words_than_the_file_says_are_read_with_a_warning(self, write: Write) -> None:
        progress = Warned()
        path = write("v.vec", b"1 1\na 1\nfilm 2\n")
        assert read_vectors(path, ["film"], progress).rows.tolist() == [[2]]
        assert progress.warnings == [f"{path}: line 1 says 1 words, and 2 follow; all are read"]

    def test_a_vocabulary_of_another_language(self, write: Write) -> None:
        assert refused(write("v.txt", GLOVE), ["Kino", "Bild"]) == (
            "FILE has none of the 2 words, such as 'Kino'; its first word is 'the'. "
            "Is it of another language, or are its words cased or stemmed in another way?"
        )

    def test_lines_that_are_not_asked_for_may_hold_anything(self, write: Write) -> None:
        assert read(write("v.txt", b"a 1 2\nb nan x\nfilm 3 4\n"), ["film"]).rows.tolist() == [[3, 4]]

    def test_paths_that_are_no_file(self, write: Write, tmp_path: Path) -> None:
        write("glove.txt", GLOVE)
        errors: list[DlcliError] = []
        for path in (tmp_path / "glove.tx", tmp_path):
            with pytest.raises(UsageError) as caught:
                read(path)
            errors.append(caught.value)
        assert str(errors[0]) == f"{tmp_path / 'glove.tx'} does not exist. Did you mean 'glove.txt'?"
        assert "is a folder, expected a file of word vectors" in str(errors[1])


class TestCoverage:
    FOUND = np.arange(20_000) < 12_345
    VECTORS = Vectors(dim=1, rows=np.zeros((20_000, 1), np.float32), found=FOUND, lines=400_000)

    def test_as_a_line(self) -> None:
        assert self.VECTORS.describe() == "12,345 of 20,000 words have a vector (61.7 %)"
        assert self.VECTORS.coverage == 0.61725

    def test_weighted_by_counts(self) -> None:
        counts = np.where(self.FOUND, 9, 1)
        assert self.VECTORS.describe(counts) == (
            "12,345 of 20,000 words have a vector (61.7 %), 93.6 % of the running words"
        )

    def test_without_words(self) -> None:
        none = Vectors(dim=1, rows=np.zeros((0, 1), np.float32), found=np.zeros(0, bool), lines=4)
        assert none.describe(np.zeros(0, int)) == "0 of 0 words have a vector (0.0 %)"
