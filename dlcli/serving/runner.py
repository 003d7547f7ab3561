"""Classifies texts or pictures with the model beside this file.

    python runner.py "not bad at all" "I want my money back"
    python runner.py photo.jpg another.png
    python runner.py --lines reviews.txt --json        # a text, or a picture's path, a line; - for stdin

It needs NumPy, Pillow where the model takes pictures, and what runs the model: onnxruntime (model.onnx), ai-edge-litert
(model.tflite) or Keras (model.keras). From Python:

    from runner import Runner
    Runner("dist/").outputs(["not bad at all"])        # float32 (items, classes)

Written by dlcli, whose own pipeline gives the same ids and pixels; model.json says what the model takes and gives.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import mmap
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Items that go through the model together.
BATCH = 32
# Of up to so many texts the n-grams are searched for in the file; for more it is read whole, a second for a million.
_SEARCHED = 32
# White space of the regular expressions that a text is split with (RE2's \s), and what counts as such besides.
_SPACE = "\\t\\n\\f\\r "
_SPACES = "[\\0\\x1c-\\x1f\\x85\\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
_HTML = r"</?[A-Za-z!][^<>]*>|&[A-Za-z][A-Za-z0-9]{1,7};|&#[0-9]{1,7};|&#[Xx][0-9A-Fa-f]{1,6};"
# The long s is an s without regard to case.
_URL = rf"(?<![0-9A-Za-z_])(?:[Hh][Tt][Tt][Pp][SsſS]?://|[Ww]{{3}}\.)[^{_SPACE}<>\"]+"
# Letters that some machines' languages lower in ways of their own.
_LOWER_FIRST = (("İ", "i̇"), ("Ì", "ì"), ("Í", "í"), ("Ĩ", "ĩ"))
_ID_OF_UNKNOWN = 1
_MAX_PIXELS = 2**28 // 3


class Runner:
    """A model with what its inputs are made with.

    Args:
        folder: where model.json, the model and its vocabulary are.
        batch_size: items that go through the model together, where it takes more than one.
    """

    def __init__(self, folder: str | Path = ".", *, batch_size: int = BATCH) -> None:
        folder = Path(folder)
        self.card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.labels = self.card["labels"]
        settings = self.card["preprocessing"]
        if self.card["domain"] == "vision":
            self._parts: list[Any] = [Pictures(settings)]
        else:
            self._parts = [Texts(member, folder) for member in settings.get("members", [settings])]
        self._model = _MODELS[self.card["format"]](folder / self.card["file"], self.card)
        self._together = 1 if self.card["inputs"][0]["shape"][0] == 1 else batch_size

    def inputs(self, items: Sequence[Any]) -> list[Any]:
        """Turn texts, or paths or bytes of pictures, into the model's inputs: a list of arrays."""
        return [array for part in self._parts for array in part.arrays(items)]

    def outputs(self, items: Sequence[Any]) -> Any:
        """Classify texts, or paths or bytes of pictures: float32 (items, classes), in the order of `labels`."""
        for part in self._parts:
            part.expect(len(items))
        parts = [items[start : start + self._together] for start in range(0, len(items), self._together)]
        answers = [self._model(self.inputs(part)) for part in parts]
        return np.concatenate([np.zeros((0, len(self.labels)), np.float32), *answers])


class Texts:
    """What turns texts into ids: the settings of model.json, a vocabulary, and tables of words and characters."""

    def __init__(self, settings: dict[str, Any], folder: Path) -> None:
        self.settings = settings
        self._vocabulary = Vocabulary(folder / settings["vocabulary"])
        self._stands_for = _words(folder / settings["words"]) if settings["words"] else {}
        # Python's tables of Unicode may be newer or older than those that the model was trained with.
        characters = json.loads((folder / settings["characters"]).read_text(encoding="utf-8"))
        self._lowered = frozenset(characters["lower"])
        self._plain = characters.get("plain", {})
        word, mark = characters["word"], characters["mark"]
        drop = settings["punctuation"] == "drop"
        markup = f"{_HTML}|{_SPACES}" if settings["strip_html"] else _SPACES
        self._rules = [(re.compile(markup), " ")]
        self._rules += [(re.compile(_URL), " ")] if settings["strip_urls"] else []
        self._splitting = [
            (re.compile(f"[^{word}{_SPACE}]+"), " ") if drop else (re.compile(f"([^{word}{_SPACE}])"), r" \1 ")
        ]
        if settings["analyzer"] == "char":
            self._splitting.append((re.compile(f"([^{_SPACE}][{mark}]*)"), r"\1 "))
        self._number = re.compile(f"[{characters['number']}]+")
        cased, ignorable = characters["cased"], characters["ignorable"]
        self._last_sigma = re.compile(f"([{cased}][{ignorable}]*)Σ(?![{ignorable}]*[{cased}])")
        self._mark_alone = re.compile(f"[^{word}]")

    def arrays(self, texts: Sequence[str]) -> list[Any]:
        """Return ids, int32 (texts, most of one), and where the model takes them the values that belong to them."""
        rows = [self.ids(text) for text in texts]
        width = max([1, *(len(ids) for ids, _ in rows)])
        valued = self.settings["features"] in ("counts", "tfidf")
        found = [np.zeros((len(rows), width), kind) for kind in ((np.int32, np.float32) if valued else (np.int32,))]
        for place, row in enumerate(rows):
            start = width - len(row[0]) if self.settings["padding"] == "pre" else 0
            for array, part in zip(found, row, strict=False):
                array[place, start : start + len(part)] = part
        return found

    def ids(self, text: str) -> tuple[list[int], Any]:
        """Return a text's ids, and what stands for each: its count, its TF-IDF weight, or nothing."""
        tokens, settings = self.tokens(text), self.settings
        if settings["features"] == "ids":
            ids = [self._vocabulary.id(token) + _ID_OF_UNKNOWN for token in tokens]
            if settings["max_length"]:
                ids = (
                    ids[-settings["max_length"] :] if settings["truncating"] == "pre" else ids[: settings["max_length"]]
                )
            return ids, ()
        shortest, longest = settings["ngrams"]
        counts: dict[str, int] = {}
        for size in range(shortest, longest + 1):
            for start in range(len(tokens) - size + 1):
                ngram = " ".join(tokens[start : start + size])
                counts[ngram] = counts.get(ngram, 0) + 1
        known = sorted((number, ngram) for ngram in counts if (number := self._vocabulary.id(ngram)))
        values = np.array([counts[ngram] for _, ngram in known], np.float32)
        if settings["features"] == "tfidf":
            values = values * np.array([self._vocabulary.idf(ngram) for _, ngram in known], np.float32)
            values = values / (np.sqrt(np.sum(np.square(values))) or np.float32(1))
        return [number for number, _ in known], values

    def tokens(self, text: str) -> list[str]:
        """Return a text's words, stop words dropped and stems in their places."""
        tokens, settings = self._split(text), self.settings
        if settings["numbers"] == "mask":
            tokens = ["0" if self._number.fullmatch(token) else token for token in tokens]
        elif settings["numbers"] == "drop":
            tokens = [token for token in tokens if not self._number.fullmatch(token)]
        if (least := settings["min_word_length"]) > 1:
            marks = settings["punctuation"] == "keep"
            tokens = [t for t in tokens if len(t) >= least or (marks and self._mark_alone.fullmatch(t))]
        stems = (self._stands_for.get(token, token) for token in tokens)
        return [stem for stem in stems if stem]

    def expect(self, count: int) -> None:
        """Make ready for many texts."""
        if count > _SEARCHED:
            self._vocabulary.read()

    def _split(self, text: str) -> list[str]:
        for rule, instead in self._rules:
            text = rule.sub(instead, text)
        if self.settings["lowercase"]:
            text = self._lower(text)
        if self.settings["strip_accents"]:
            text = "".join([self._plain.get(character, character) for character in text])
        for rule, instead in self._splitting:
            text = rule.sub(instead, text)
        return text.split()

    def _lower(self, text: str) -> str:
        if text.isascii():
            return text.lower()
        for upper, lower in _LOWER_FIRST:
            text = text.replace(upper, lower)
        text = self._last_sigma.sub(r"\1ς", text)
        return "".join([letter.lower() if letter.isascii() or letter in self._lowered else letter for letter in text])


class Vocabulary:
    """The n-grams that have an id: lines of n-gram, tab, id (and tab, weight), in the order of their bytes."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._start = self._lines.find(b"\n") + 1
        self._known: dict[str, tuple[int, float]] = {}
        self._whole = False

    def id(self, ngram: str) -> int:
        """Return its id, 0 when it has none."""
        return self._cells(ngram)[0]

    def idf(self, ngram: str) -> float:
        """Return how much it weighs: its inverse document frequency."""
        return self._cells(ngram)[1]

    def read(self) -> None:
        """Read all of it: for many texts that is faster."""
        if not self._whole:
            lines = self._lines[self._start :].decode("utf-8").split("\n")[:-1]
            self._known = {cells[0]: _numbers(cells[1:]) for line in lines for cells in [line.split("\t")]}
            self._whole = True

    def _cells(self, ngram: str) -> tuple[int, float]:
        if (found := self._known.get(ngram)) is None:
            found = (0, 0.0) if self._whole else self._search(ngram.encode("utf-8", "replace"))
            self._known[ngram] = found
        return found

    def _search(self, wanted: bytes) -> tuple[int, float]:
        low, high = self._start, len(self._lines)
        while low < high:
            begin = max(low, self._lines.rfind(b"\n", low, (low + high) // 2) + 1)
            end = self._lines.find(b"\n", begin)
            ngram, *cells = self._lines[begin:end].split(b"\t")
            if ngram == wanted:
                return _numbers(cells)
            low, high = (end + 1, high) if ngram < wanted else (low, begin)
        return 0, 0.0


def _numbers(cells: Sequence[Any]) -> tuple[int, float]:
    return int(cells[0]), float(cells[1]) if len(cells) > 1 else 1.0


def _words(path: Path) -> dict[str, str]:
    """Read which words are dropped (nothing stands for them), and which stand for others."""
    lines = path.read_bytes().decode("utf-8").split("\n")[1:-1]
    return dict(tuple(line.split("\t")) for line in lines)  # type: ignore[misc]


class Pictures:
    """What turns the bytes of picture files into pixels: the settings of model.json."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.height, self.width = settings["image_size"]
        self.resize = settings["resize"]
        self.channels = 1 if settings["color"] == "grayscale" else 3

    def expect(self, count: int) -> None:
        """Do nothing: there is nothing to make ready."""

    def arrays(self, pictures: Sequence[Any]) -> list[Any]:
        """Return pixels, uint8 (pictures, height, width, channels), of paths or of encoded bytes."""
        found = np.zeros((len(pictures), self.height, self.width, self.channels), np.uint8)
        for place, picture in enumerate(pictures):
            data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
            try:
                found[place] = self.pixels(data)
            except (OSError, ValueError, SyntaxError, EOFError) as error:
                name = f"picture {place + 1}" if isinstance(picture, bytes) else picture
                raise ValueError(f"{name} cannot be decoded ({error})") from error
        return [found]

    def pixels(self, data: bytes) -> Any:
        """Decode a picture: upright, on white where it is transparent, in the size that the model sees."""
        image = self._channels(_decoded(data, self))
        height, width = image.shape[:2]
        if (height, width) == (self.height, self.width):
            return image
        wanted, size = np.array([[self.height, self.width], [height, width]], np.float32)
        scale = wanted / size
        if self.resize == "stretch":
            return _scaled(image, (self.height, self.width), scale, np.zeros(2, np.float32))
        if self.resize == "crop":
            scale = np.repeat(scale.max(), 2)
            return _scaled(image, (self.height, self.width), scale, (wanted - size * scale) / np.float32(2))
        sides = np.clip(np.round(size * scale.min()), 1, wanted)
        inner = _scaled(image, sides.astype(int), sides / size, np.zeros(2, np.float32))
        whole = np.zeros((self.height, self.width, self.channels), np.uint8)
        top, left = (self.height - inner.shape[0]) // 2, (self.width - inner.shape[1]) // 2
        whole[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return whole

    def _channels(self, image: Any) -> Any:
        """Bring 1 to 4 channels to those that the model sees."""
        if image.shape[2] == self.channels:
            return image
        wide = image.astype(np.uint16)
        if image.shape[2] in (2, 4):
            alpha = wide[:, :, -1:]
            mixed = wide[:, :, :-1] * alpha + (255 - alpha) * 255 + 128
            wide = (mixed + (mixed >> 8)) >> 8
        if self.channels == 1 and wide.shape[2] == 3:
            wide = ((wide * np.array([77, 150, 29], np.uint16)).sum(axis=2, keepdims=True, dtype=np.uint16) + 128) >> 8
        return np.repeat(wide, self.channels // wide.shape[2], axis=2).astype(np.uint8)


def _decoded(data: bytes, wanted: Pictures) -> Any:
    """Decode with Pillow: uint8 (height, width, 1 to 4 channels)."""
    from PIL import Image

    image: Any = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB"))
    if not 0 < image.width * image.height <= _MAX_PIXELS:
        raise ValueError("a size of 0, or too many pixels")
    kind = image.format
    if kind in ("JPEG", "MPO"):
        # At a half, a quarter or an eighth where it is many times as large: as the model was trained.
        times = min(image.size) / (2 * max(wanted.height, wanted.width))
        ratio = 1 if times < 2 else 2 if times < 4 else 4 if times < 8 else 8
        image.draft(None, (image.width // ratio, image.height // ratio))
    area = image.tile[0][1] if kind == "GIF" else None
    image.load()
    orientation = _orientation(Image, image.info.get("exif"))
    pixels = np.asarray(_in_known_mode(image, kind))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if area:
        left, top, right, bottom = area
        inside = pixels[top:bottom, left:right].copy()
        pixels = np.full_like(pixels, 255)
        pixels[top:bottom, left:right] = inside
    return _upright(pixels, orientation)


def _in_known_mode(image: Any, kind: str) -> Any:
    """Bring a picture to L, LA, RGB or RGBA."""
    if image.mode.startswith("I"):
        return (np.asarray(image) >> 8).astype(np.uint8)  # Of 16 bits the upper 8 are kept.
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if kind == "BMP" or image.mode not in ("L", "LA", "RGB", "RGBA"):
        return image.convert("RGB")
    return image


def _orientation(image_module: Any, exif: bytes | None) -> int:
    """Return how the camera was held, 1 to 8: EXIF's tag 0x0112."""
    found = 1
    if exif:
        with contextlib.suppress(Exception):  # Damaged metadata say nothing.
            tags = image_module.Exif()
            tags.load(exif)
            found = tags.get(0x0112, 1)
    return found if found in range(1, 9) else 1


def _upright(pixels: Any, orientation: int) -> Any:
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


def _scaled(image: Any, sides: Sequence[Any], scale: Any, shift: Any) -> Any:
    """Resample with a triangle as wide as a pixel of the result, or of the source where that is wider."""
    rows, columns = (_triangles(image.shape[axis], int(sides[axis]), scale[axis], shift[axis]) for axis in (0, 1))
    height, width, channels = image.shape
    found = rows @ image.reshape(height, -1).astype(np.float32)
    found = columns @ found.reshape(-1, width, channels)
    return np.round(found).astype(np.uint8)


def _triangles(size: int, side: int, scale: Any, shift: Any) -> Any:
    """Return how much each of `size` pixels counts for each of `side` pixels: float32 (side, size)."""
    inverse = np.float32(1) / np.float32(scale)
    at = (np.arange(side, dtype=np.float32) + np.float32(0.5)) * inverse - inverse * np.float32(shift)
    places = np.arange(size, dtype=np.float32) + np.float32(0.5)
    weights = np.maximum(0, 1 - np.abs((places - at[:, None]) / np.maximum(inverse, np.float32(1))))
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-30))


class _Onnx:
    def __init__(self, path: Path, card: dict[str, Any]) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self._names = [given["name"] for given in card["inputs"]]

    def __call__(self, arrays: list[Any]) -> Any:
        return self._session.run(None, dict(zip(self._names, arrays, strict=True)))[0]


class _LiteRT:
    def __init__(self, path: Path, card: dict[str, Any]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _silence():  # Its first line is that it runs.
            self._interpreter = Interpreter(model_path=str(path), num_threads=os.cpu_count())
            self._interpreter.allocate_tensors()
        places = {given["name"]: given["index"] for given in self._interpreter.get_input_details()}
        self._places = [places[given["name"]] for given in card["inputs"]]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shapes: list[Any] | None = None

    def __call__(self, arrays: list[Any]) -> Any:
        if self._shapes != (shapes := [array.shape for array in arrays]):
            for place, shape in zip(self._places, shapes, strict=True):
                self._interpreter.resize_tensor_input(place, shape)
            with _silence():
                self._interpreter.allocate_tensors()
            self._shapes = shapes
        for place, array in zip(self._places, arrays, strict=True):
            self._interpreter.set_tensor(place, array)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output)


class _Keras:
    def __init__(self, path: Path, card: dict[str, Any]) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _silence():
            import keras
        known: dict[str, Any] = {}
        if (layers := path.with_name("layers.py")).exists():  # Those that Keras has not; an import would leave a cache.
            exec(compile(layers.read_text(encoding="utf-8"), layers, "exec"), known)  # noqa: S102 - it came with this file.
        self._model = keras.saving.load_model(path, compile=False, custom_objects=known.get("CUSTOM_OBJECTS"))

    def __call__(self, arrays: list[Any]) -> Any:
        return np.asarray(self._model(arrays if len(arrays) > 1 else arrays[0], training=False))


_MODELS: dict[str, Any] = {"onnx": _Onnx, "litert": _LiteRT, "keras": _Keras}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what C libraries write on stderr away."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def main(arguments: Sequence[str] | None = None) -> None:
    """Classify what is named on the command line."""
    parser = argparse.ArgumentParser(description="Classify texts, or picture files, with the model beside this file.")
    parser.add_argument("items", nargs="*", metavar="ITEM", help="a text, or the path of a picture")
    parser.add_argument(
        "--lines", metavar="FILE", help="a file with an item a line (.jsonl: a string a line); - for stdin"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--batch-size", type=int, default=BATCH, metavar="N", help=f"items at once ({BATCH})")
    given = parser.parse_args(arguments)
    items = given.items + (_read_lines(given.lines) if given.lines else [])
    if not items:
        parser.error("expected a text or the path of a picture, or --lines FILE")
    try:
        runner = Runner(Path(__file__).resolve().parent, batch_size=given.batch_size)
        outputs = runner.outputs(items)
    except ImportError as error:
        parser.exit(2, f"{parser.prog}: {error}; install it with pip\n")
    except (OSError, ValueError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    best = [runner.labels[place] for place in outputs.argmax(axis=1)]
    if given.json:
        rows = [{"item": i, "label": b, "outputs": o.tolist()} for i, b, o in zip(items, best, outputs, strict=True)]
        print(json.dumps({"schema": 1, "labels": runner.labels, "outputs": runner.card["outputs"], "items": rows}))
    else:
        for item, label, row in zip(items, best, outputs, strict=True):
            shown = "".join([character if character.isprintable() else " " for character in item])
            print(f"{label}\t{row.max():.4f}\t{shown}")


def _read_lines(path: str) -> list[str]:
    with contextlib.ExitStack() as stack:
        file = sys.stdin if path == "-" else stack.enter_context(Path(path).open(encoding="utf-8", newline="\n"))
        lines = [line.rstrip("\r\n") for line in file]
    return [json.loads(line) for line in lines] if path.endswith(".jsonl") else lines


if __name__ == "__main__":
    main()
