"""What the frozen part of a network makes of pictures: computed once, kept in the user's cache, and used again."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.parallel import chunks
from dlcli.core.progress import Progress, Silent
from dlcli.core.weights import hash_of_weights
from dlcli.vision.augmentation.config import Strengths
from dlcli.vision.augmentation.engine import Augmentation
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.feature_store import opened
from dlcli.vision.inputs import RowInputs
from dlcli.vision.pixels import decode_items
from dlcli.vision.raw import BadItem, look_all, require_good

Array = np.ndarray[Any, Any]

# Pixels that go through the frozen part together, 32 pictures of 150x150: more are no faster on a CPU, and their
# feature maps fill the memory.
_PIXELS = 32 * 150 * 150
# Batches that are decoded together; what is computed of them is kept before the next ones.
_TOGETHER = 2


class FrozenPart:
    """The frozen part of a network, as a function of pixels.

    Args:
        model: uint8 (batch, height, width, channels) in; what comes out is the same at every step.
        pipeline: how pictures become those pixels.

    Attributes:
        pixels: height, width and channels of a picture.
        shape: of what comes out for it.
        dtype: of its numbers.
        batch_size: pictures that go through it together.
        digest: hexadecimal digits that change with every weight and setting that its output depends on.
    """

    def __init__(self, model: keras.Model, pipeline: ImagePipelineConfig) -> None:
        self.pipeline = pipeline
        self.pixels: tuple[int, ...] = tuple(model.input_shape[1:])
        self.shape: tuple[int, ...] = tuple(model.output_shape[1:])
        self.dtype = np.dtype(np.float32)
        self.batch_size = max(1, min(512, _PIXELS // math.prod(self.pixels[:2])))
        self.digest = _digest(model, pipeline)
        spec = tf.TensorSpec(model.input_shape, tf.uint8)
        self._call = tf.function(
            lambda pixels: tf.cast(model(pixels, training=False), tf.float32), input_signature=[spec], autograph=False
        )

    def __call__(self, pixels: Array) -> Array:
        """Return what comes out for pictures, float32 (pictures, *shape)."""
        size = self.batch_size
        parts = [self._call(pixels[start : start + size]).numpy() for start in range(0, len(pixels), size)]
        return np.concatenate(parts) if parts else np.empty((0, *self.shape), np.float32)


def _digest(model: keras.Model, pipeline: ImagePipelineConfig) -> str:
    """Hash operations, their settings and order, weights, preprocessing, and the versions that compute them."""
    places = {id(operation.output): place for place, operation in enumerate(model.operations)}
    about: list[Any] = [pipeline.model_dump(mode="json"), tf.__version__, keras.__version__]
    for operation in model.operations:
        # Names may be numbered anew in each process.
        settings = {key: value for key, value in operation.get_config().items() if key not in ("name", "trainable")}
        inputs = operation.input if operation is not model.operations[0] else []
        sources = [places.get(id(tensor), -1) for tensor in (inputs if isinstance(inputs, list) else [inputs])]
        about.append([type(operation).__name__, settings, sources])
    found = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    found.update(hash_of_weights(model).encode())
    return found.hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How a picture is changed before it goes through the frozen part.

    Attributes:
        strengths: what may be done to it; None leaves it as it is.
        seed: of the run.
        number: which draw, from 1.
    """

    strengths: Strengths | None = None
    seed: int = 0
    number: int = 0

    def key(self, picture: bytes) -> bytes:
        """Return 16 bytes that stand for the changed picture."""
        about = f"{self.strengths}|{self.seed}|{self.number}" if self.strengths else ""
        return hashlib.blake2b(about.encode(), key=picture, digest_size=16).digest()

    def apply(self, pixels: Array, pictures: Sequence[bytes]) -> Array:
        """Return the changed pictures: a function of their content and the draw, not of their place in a data set."""
        if self.strengths is None:
            return pixels
        items = np.array([int.from_bytes(picture[:8], "little") for picture in pictures], np.uint64)
        return Augmentation(self.strengths, seed=self.seed).apply(pixels, items, self.number)


def draws(strengths: Strengths, copies: int, *, seed: int) -> list[Draw]:
    """Return the picture itself and `copies` changed ones."""
    return [Draw(), *(Draw(strengths=strengths, seed=seed, number=number) for number in range(1, copies + 1))]


class KeptFeatures:
    """Features of pictures, a row for each draw of each: those of the first draw come first.

    They are kept in the user's cache once `fill` was called; until then those asked for are computed.

    Args:
        part: what computes them.
        items: the pictures.
        drawn: how each is changed; a draw a copy.

    Attributes:
        shape: (draws * pictures, ...).
        dtype: of the numbers.
    """

    def __init__(self, part: FrozenPart, items: Sequence[str], drawn: Sequence[Draw]) -> None:
        self.part = part
        self.items = np.array(items, dtype=object)
        self.draws = list(drawn)
        self.shape: tuple[int, ...] = (len(self.draws) * len(items), *part.shape)
        self.dtype = part.dtype
        self._rows: Array | None = None
        self._pretended = False
        self._places: Array = np.empty(0, np.int64)

    def __getitem__(self, numbers: Array) -> Array:
        if self._rows is not None:
            return np.asarray(self._rows[self._places[numbers]])
        found = np.zeros((len(numbers), *self.part.shape), self.dtype)
        if self._pretended:
            return found
        for number, draw in enumerate(self.draws):
            (wanted,) = np.nonzero(numbers // len(self.items) == number)
            if len(wanted):
                items = self.items[numbers[wanted] % len(self.items)].tolist()
                found[wanted] = self.part(draw.apply(_decoded(items, self.part.pipeline), _hashes(items)))
        return found

    def pretend(self) -> float:
        """Give zeros from now on; return about how many seconds it takes to compute all rows."""
        self._pretended = True
        some = np.zeros((self.part.batch_size, *self.part.pixels), np.uint8)
        self.part(some)
        started = time.perf_counter()
        self.part(some)
        return (time.perf_counter() - started) * self.shape[0] / len(some)

    def fill(self, progress: Progress) -> None:
        """Compute what the cache does not have yet, and keep it.

        Args:
            progress: told of each picture and draw.

        Raises:
            DataError: pictures that cannot be read or decoded; names them.
            SurroundingsError: the disk is full, or the features are over the bound.
        """
        pictures = _hashes(self.items.tolist())
        keys = [[draw.key(picture) for picture in pictures] for draw in self.draws]
        with opened(self.part.digest, self.part.shape, progress) as store:
            known = store.find(itertools.chain.from_iterable(keys))
            missing = [
                [number for number, draw_keys in enumerate(keys) if draw_keys[place] not in known]
                for place in range(len(pictures))
            ]
            if count := sum(map(len, missing)):
                store.reserve(count, progress)
                progress.begin(f"computing the features of {len(self.items):,} pictures", self.shape[0])
                progress.advance(self.shape[0] - count)
                for place, number, rows in self._computed(pictures, missing, progress):
                    store.append([keys[number][one] for one in place], rows)
                known = store.find([])
            self._rows = store.rows()
        self._places = np.array([known[key] for draw_keys in keys for key in draw_keys], np.int64)

    def _computed(
        self, pictures: list[bytes], missing: list[list[int]], progress: Progress
    ) -> Iterator[tuple[list[int], int, Array]]:
        """Yield places of pictures, the number of a draw, and their rows; pictures are decoded a chunk ahead."""
        wanted = [place for place, numbers in enumerate(missing) if numbers]
        with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
            ahead: Any = None
            for chunk in [*chunks(wanted, _TOGETHER * self.part.batch_size), None]:
                following = chunk and pool.submit(_decoded, self.items[chunk].tolist(), self.part.pipeline)
                if ahead is not None:
                    places, pixels = ahead[0], ahead[1].result()
                    for number, draw in enumerate(self.draws):
                        some = [one for one, place in enumerate(places) if number in missing[place]]
                        if not some:
                            continue
                        changed = draw.apply(pixels[some], [pictures[places[one]] for one in some])
                        yield [places[one] for one in some], number, self.part(changed)
                        progress.advance(len(some))
                ahead = chunk and (chunk, following)


def _decoded(items: list[str], pipeline: ImagePipelineConfig) -> Array:
    pixels, bad = decode_items(items, pipeline, progress=Silent())
    require_good(bad)
    return pixels


def _hashes(items: Sequence[str]) -> list[bytes]:
    """Return 16 bytes for the content of each picture's file."""
    looks = list(look_all(items))
    require_good([look for look in looks if isinstance(look, BadItem)])
    return [look.digest for look in looks if not isinstance(look, BadItem)]


class FeaturesAnew(RowInputs):
    """Pictures that go through the frozen part each time that they are asked for.

    Args:
        pictures: as they are, or changed anew in each epoch.
        part: the frozen part.
    """

    def __init__(self, pictures: RowInputs, part: FrozenPart) -> None:
        super().__init__(_Anew(pictures, part))
        self.pictures = pictures
        self.mixes = False

    def begin_epoch(self, epoch: int) -> None:
        """Make the draws those of an epoch, counted from 0."""
        if hasattr(self.pictures, "begin_epoch"):
            self.pictures.begin_epoch(epoch)

    def shares(self, rows: Array) -> Array:
        """Return that each picture is its own."""
        return np.ones(len(rows), np.float32)


class _Anew:
    def __init__(self, pictures: RowInputs, part: FrozenPart) -> None:
        self.pictures, self.part = pictures, part
        self.shape: tuple[int, ...] = (len(pictures), *part.shape)
        self.dtype = part.dtype

    def __getitem__(self, numbers: Array) -> Array:
        return self.part(self.pictures.take(numbers))
