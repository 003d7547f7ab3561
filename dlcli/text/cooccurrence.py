"""Word vectors learnt from texts without labels: which words stand near which, told in few numbers.

texts -> how often two words stand near each other -> positive pointwise mutual information -> truncated SVD

Levy & Goldberg (2014), "Neural word embedding as implicit matrix factorization", and Levy, Goldberg & Dagan (2015),
"Improving distributional similarity with lessons learned from word embeddings".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dlcli.core.memory import available_memory
from dlcli.core.progress import Progress
from dlcli.errors import DataError, NumbersError

if TYPE_CHECKING:
    from dlcli.text.pipeline import TextPipeline

# Words up to so far apart are near each other; the nearer, the more: a neighbour counts 1, the next but one 1/2, ...
_WINDOW = 4
# In these parts all of 1, 1/2, 1/3 and 1/4 are whole numbers: sums are exact, in whatever order they are made.
_PARTS = 12
# Rare words as neighbours count for more than they are: without it all that is near them looks meaningful (Levy 2015).
_SMOOTHING = 0.75
# Of the numbers in a vector; the random start of other words has 0.03. Of 0.1 and 0.25, better on held-out reviews.
_ROOT_MEAN_SQUARE = 0.1
# Words that are counted together: some 100 MB.
_BLOCK = 2_000_000
# What a pair of words takes while matrices are added and made into one: 12 for each of three, and twice 8 both ways.
_BYTES_PER_PAIR = 52
# Rounds in which the guess of the SVD is made better: on reviews, 3 and 7 give words the same neighbours.
_ROUNDS = 3

_Sequences = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


class Neighbours(NamedTuple):
    """How often words are near each other.

    Attributes:
        counts: scipy.sparse.csr_array, int64 (words, words), symmetric: the sum of 1 / distance over all pairs, in
            twelfths.
        texts: how many texts were read.
        words: how many words they have, unknown ones included.
    """

    counts: Any
    texts: int
    words: int


def learn_vectors(
    texts: Iterable[str], pipeline: TextPipeline, *, dim: int, seed: int, progress: Progress
) -> np.ndarray[Any, Any]:
    """Learn a vector for each word of a vocabulary.

    Args:
        texts: any number, read once and not kept; labels have no part in it.
        pipeline: how a text is made into words, which are those of its vocabulary; `max_length` does not count here.
        dim: the length of a vector.
        seed: of the SVD's first guess.
        progress: told how many texts and words were read.

    Returns:
        float32 (words, dim), all vectors of one length; a row of NaN for a word that is near no other more often than
        by chance. Numbers beyond that of the words are 0.

    Raises:
        DataError: the texts have none of the words near another.
        NumbersError: there are more pairs of words than fit into the memory.
    """
    started = time.perf_counter()
    found = count_neighbours(pipeline.sequences(texts), len(pipeline.vocabulary))
    association = positive_pmi(found.counts)
    if not association.nnz:
        raise DataError(
            f"no word vectors to learn: in {found.texts:,} texts no two words of the vocabulary are near each other",
            hint="Are they of another language, or is --text-column another column?",
        )
    vectors = _factors(association, dim=dim, seed=seed)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    known = (np.diff(association.indptr) > 0) & (lengths[:, 0] > 0)
    vectors[~known] = np.nan
    # All of one length: as they come, those of words of middling frequency are five times as long as others.
    vectors *= _ROOT_MEAN_SQUARE * np.sqrt(dim) / np.where(lengths > 0, lengths, 1)
    progress.note(
        f"word vectors learnt from {found.texts:,} texts, {found.words:,} words: for {int(known.sum()):,} of "
        f"{len(known):,} words, in {time.perf_counter() - started:.1f} s"
    )
    return vectors


def count_neighbours(texts: Iterable[_Sequences], words: int) -> Neighbours:
    """Count how often words are near each other.

    Args:
        texts: some texts at a time: int (n,), the ids of their words one after the other, 0 for unknown ones, and the
            lengths of the texts. Unknown words keep their place.
        words: the number of words; their ids begin at 1.

    Raises:
        NumbersError: there are more pairs of words than fit into the memory.
    """
    from scipy import sparse

    one_way: Any = sparse.csr_array((words, words), dtype=np.int64)
    read = running = 0
    for ids, number, length in _blocks(texts):
        one_way = one_way + _pairs(ids, words)
        _require_memory(one_way.nnz)
        read += number
        running += length
    # A pair is counted where the lower id is the row; now each word has the other as a neighbour.
    return Neighbours((one_way + one_way.T).tocsr(), read, running)


def positive_pmi(counts: Any) -> Any:
    """Return the positive pointwise mutual information of words and their neighbours.

    Args:
        counts: scipy.sparse.csr_array (words, words), as of `count_neighbours`; the unit makes no difference.

    Returns:
        scipy.sparse.csr_array, float32 (words, words): max(0, ln(P(word, neighbour) / (P(word) P'(neighbour)))), where
        P' is that of the counts to the power of 0.75 (Levy et al. 2015); what is 0 is left out.
    """
    found = counts.astype(np.float32)
    totals = np.asarray(counts.sum(axis=1), np.float64).ravel()
    # Of a word without neighbours no logarithm is asked for: it has no pairs.
    logs = np.log(np.maximum(totals, 1))
    smoothed = np.log(max(1, np.sum(totals**_SMOOTHING)))
    rows = np.repeat(logs, np.diff(found.indptr))
    found.data = (np.log(counts.data) - rows + smoothed - _SMOOTHING * logs[found.indices]).astype(np.float32)
    found.data[found.data < 0] = 0
    found.eliminate_zeros()
    return found


def _blocks(texts: Iterable[_Sequences]) -> Iterator[tuple[np.ndarray[Any, Any], int, int]]:
    """Put texts together to about `_BLOCK` words, with so much unknown behind each that none is near the next's."""
    waiting: list[np.ndarray[Any, Any]] = []
    number = length = 0
    for ids, lengths in texts:
        apart: np.ndarray[Any, Any] = np.zeros(len(ids) + _WINDOW * len(lengths), np.int64)
        apart[np.arange(len(ids)) + _WINDOW * np.repeat(np.arange(len(lengths)), lengths)] = ids
        waiting.append(apart)
        number += len(lengths)
        length += len(ids)
        if length >= _BLOCK:
            yield np.concatenate(waiting), number, length
            waiting, number, length = [], 0, 0
    if waiting:
        yield np.concatenate(waiting), number, length


def _pairs(ids: np.ndarray[Any, Any], words: int) -> Any:
    """Return the counts of ids in a row, each pair in the row of the lower one: csr_array, int64 (words, words)."""
    from scipy import sparse

    found: Any = sparse.csr_array((words, words), dtype=np.int64)
    for distance in range(1, _WINDOW + 1):
        first, second = ids[:-distance], ids[distance:]
        both = (first > 0) & (second > 0)
        low, high = np.minimum(first, second)[both] - 1, np.maximum(first, second)[both] - 1
        weights: np.ndarray[Any, Any] = np.full(len(low), _PARTS // distance, np.int64)
        found = found + sparse.coo_array((weights, (low, high)), shape=(words, words)).tocsr()
    return found


def _require_memory(pairs: int) -> None:
    available = available_memory()
    if available is not None and pairs * _BYTES_PER_PAIR > available:
        raise NumbersError(
            f"the pairs of words do not fit into the memory: {pairs:,} so far would take about "
            f"{pairs * _BYTES_PER_PAIR / 1e9:.1f} GB, and {available / 1e9:.1f} GB are free",
            hint="A smaller --max-features makes fewer; or take fewer texts with --unlabelled",
        )


def _factors(association: Any, *, dim: int, seed: int) -> np.ndarray[Any, Any]:
    """Return the left singular vectors times the roots of the singular values, float32 (words, dim); 0 beyond words."""
    from sklearn.utils.extmath import randomized_svd

    rank = min(dim, association.shape[0])
    left, values, _ = randomized_svd(
        association, rank, n_oversamples=16, n_iter=_ROUNDS, power_iteration_normalizer="QR", random_state=seed
    )
    vectors: np.ndarray[Any, Any] = np.zeros((association.shape[0], dim), np.float32)
    vectors[:, :rank] = left * np.sqrt(values)
    return vectors
