"""Files of features: a sparse matrix as SciPy writes it, padded ids and labels as NumPy does; none holds a pickle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlcli.errors import SurroundingsError

if TYPE_CHECKING:
    from dlcli.text.encoded import EncodedTexts

# Cells of padded ids that are written at a time: 64 MB.
_CELLS = 16_000_000


def write_matrix(path: Path, bags: EncodedTexts, *, columns: int, idf: np.ndarray[Any, Any] | None = None) -> None:
    """Write a matrix of n-grams that `scipy.sparse.load_npz` reads: CSR, a row a text, a column an n-gram.

    Args:
        path: a file that ends in `.npz`.
        bags: the ids of each text's n-grams, ascending from 1, with their counts or without.
        columns: how many n-grams there are.
        idf: float64 (columns,), each n-gram's inverse document frequency: the matrix then holds float64 TF-IDF weights
            in rows of length one; without it int32, the counts, or 1 where there are none.
    """
    # SciPy wants one type for places and row starts.
    integers = np.int32 if len(bags.ids) < 2**31 else np.int64
    starts: np.ndarray[Any, Any] = np.zeros(len(bags) + 1, integers)
    np.cumsum(bags.lengths, out=starts[1:])
    indices = bags.ids.astype(integers, copy=False) - 1
    if idf is not None:
        data = tfidf_weights(bags, idf)
    elif bags.values is not None:
        data = bags.values.astype(np.int32)
    else:
        data = np.ones(len(indices), np.int32)
    np.savez(path, indices=indices, indptr=starts, format=b"csr", shape=(len(bags), columns), data=data)


def tfidf_weights(bags: EncodedTexts, idf: np.ndarray[Any, Any], *, sublinear: bool = False) -> np.ndarray[Any, Any]:
    """Return the TF-IDF weights of n-grams in rows of length one, float64, as scikit-learn has them.

    Args:
        bags: the ids of each text's n-grams, with their counts.
        idf: float64, each n-gram's inverse document frequency.
        sublinear: whether 1 + ln(count) takes the place of the count.
    """
    assert bags.values is not None
    counts = 1 + np.log(bags.values, dtype=np.float64) if sublinear else bags.values
    weights: np.ndarray[Any, Any] = counts * idf[bags.ids - 1]
    rows = np.repeat(np.arange(len(bags)), bags.lengths)
    norms = np.sqrt(np.bincount(rows, weights=weights**2, minlength=len(bags)))
    weights /= norms[rows]
    return weights


def write_ids(path: Path, texts: EncodedTexts, *, length: int) -> None:
    """Write ids that `numpy.load` reads: int32, shape (texts, length), filled up with 0.

    Args:
        path: a file that ends in `.npy`.
        texts: their ids; none is longer than `length`.
        length: of the rows.

    Raises:
        SurroundingsError: the disk has not so much room.
    """
    shape = (len(texts), length)
    size, free = 4 * shape[0] * shape[1], shutil.disk_usage(path.parent).free
    if size > free:
        raise SurroundingsError(
            f"{shape[0]:,} texts of {length:,} ids take {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            hint="Cut long texts with --max-length, such as --max-length 95%",
        )
    ends = np.cumsum(texts.lengths)
    rows = max(1, _CELLS // max(1, length))
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.int32)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(texts), rows):
            lengths = texts.lengths[start : start + rows]
            first, last = (0 if start == 0 else ends[start - 1]), ends[start + len(lengths) - 1]
            block: np.ndarray[Any, Any] = np.zeros((len(lengths), length), np.int32)
            places = np.arange(length) - (length - lengths[:, None] if texts.padding == "pre" else 0)
            block[(places >= 0) & (places < lengths[:, None])] = texts.ids[first:last]
            file.write(block.data)


def write_labels(path: Path, labels: Sequence[str]) -> None:
    """Write labels that `numpy.load` reads: an array of strings."""
    np.save(path, np.array(labels, dtype=np.str_), allow_pickle=False)
