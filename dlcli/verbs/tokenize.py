"""`dlcli tokenize`: texts as a sparse matrix of n-grams or as padded ids, with the vocabulary that made them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlcli.core.config import flag, option
from dlcli.core.lines import SKIPPED, Skipped, strict
from dlcli.core.progress import Progress
from dlcli.errors import DataError, ModelError, SurroundingsError, UsageError
from dlcli.resources import resolve_input
from dlcli.text.config import NgramRange, SkipRowsConfig, TextDataConfig, TextPipelineConfig
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts

if TYPE_CHECKING:
    from dlcli.text.encoded import EncodedTexts
    from dlcli.text.pipeline import TextPipeline
    from dlcli.text.read import Skip

MATRIX, IDS, LABELS = "features.npz", "ids.npy", "labels.npy"
_PIPELINE = "pipeline.json"
# All that may stand in a folder of ours: one with anything else in it is never replaced.
_OURS = {MATRIX, IDS, LABELS, _PIPELINE, "vocabulary.tsv", "words.tsv", SKIPPED}
_NAMES = {"counts": "counts", "binary": "presence", "tfidf": "TF-IDF weights", "ids": "ids of words"}


class TokenizeConfig(TextPipelineConfig, SkipRowsConfig, TextDataConfig):
    """All settings of a tokenizing."""

    section = "Data"

    data: Path = option(
        ...,
        "A CSV, TSV or JSONL file, or a folder with a folder of .txt files for each class (its train/ counts).",
        argument=True,
        metavar="DATA",
    )
    out: Path = option(..., "The folder to write.", argument=True, metavar="OUT")
    from_: Path | None = option(
        None,
        "Take settings and vocabulary from what tokenize wrote, or from a finished run: the same columns for other "
        "texts, such as a test set.",
        metavar="DIR",
    )
    labels: bool = option(True, f"Read the labels and write them to {LABELS}.")
    force: bool = option(False, "Replace what tokenize wrote to OUT before.")
    ngrams: NgramRange | None = option(
        None,
        "Lengths of n-grams: 2 takes words and pairs of neighbours, 2-3 pairs and triples alone; without it 1.",
        metavar="N|N-M",
    )
    min_count: int | None = option(1, "Drop n-grams that occur fewer times than this in all texts.", ge=1)
    features: Literal["binary", "counts", "tfidf", "ids"] | None = option(
        "counts",
        "What stands for a text: whether each n-gram is in it, how often, its TF-IDF weight (rows of length one), or "
        "the ids of its words in their order.",
    )


class TokenizeResult(Result):
    """What was written.

    Attributes:
        shape: rows and columns of the matrix, or texts and ids of each.
        ngrams: how many n-grams (words, for ids) have a column or an id.
        distinct: how many the texts have, None when the vocabulary was not counted in them.
        nonzeros: cells that are not 0.
        empty: texts without a known n-gram.
    """

    data: Path
    out: Path
    features: str
    orders: tuple[int, int]
    texts: int
    skipped: int = 0
    shape: tuple[int, int]
    ngrams: int
    distinct: int | None
    nonzeros: int
    empty: int
    labels: int | None
    files: dict[str, int]

    def text(self) -> str:
        """Return what was written, and the lines of Python that open it."""
        shortest, longest = self.orders
        of = (
            f" of n-grams of {shortest} to {longest} words"
            if longest > 1
            else ""
            if self.features == "ids"
            else " of words"
        )
        kept = f" of {self.distinct:,}" if self.distinct is not None else ", as they are"
        rows = [
            ("texts", f"{self.texts:,}" + (f", {self.empty:,} without a known word" if self.empty else "")),
            ("features", f"{_NAMES[self.features]}{of}"),
            ("vocabulary", f"{self.ngrams:,}{kept}"),
            ("shape", " x ".join(f"{size:,}" for size in self.shape)),
            ("non-zeros", f"{self.nonzeros:,}, {self.nonzeros / self.texts:.1f} a text"),
            ("labels", f"{self.labels:,} classes" if self.labels is not None else ""),
            *((name, _size(size)) for name, size in self.files.items()),
            ("out", str(self.out)),
        ]
        return "\n\n".join([facts(rows), "In Python:", self._how_to_open()])

    def _how_to_open(self) -> str:
        main = f'x = numpy.load("{self.out / IDS}")' if self.features == "ids" else ""
        lines = [
            main or f'x = scipy.sparse.load_npz("{self.out / MATRIX}")',
            f'y = numpy.load("{self.out / LABELS}")' if self.labels is not None else "",
            f'terms = pandas.read_csv("{self.out / "vocabulary.tsv"}", sep="\\t", quoting=3, keep_default_na=False)',
        ]
        note = "  # 0 fills up, 1 is an unknown word, 2 the first row of the vocabulary" if main else ""
        return "\n".join(f"    {line}{note if number == 0 else ''}" for number, line in enumerate(lines) if line)


def _size(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def tokenize(config: TokenizeConfig, progress: Progress) -> TokenizeResult:
    """Turn texts into features and write them with their vocabulary.

    Args:
        config: the settings.
        progress: told of stages and texts.

    Returns:
        what was written.

    Raises:
        DataError: there are no rows, or no word is left of them.
        NumbersError: the vocabulary does not fit into the memory.
    """
    from dlcli.core.files import jsonl, replacing, write_text
    from dlcli.core.locks import alone

    _require_free(config)
    folder = _vocabulary_folder(config) if config.from_ is not None else None
    records: list[dict[str, Any]] = []
    texts = _texts(config, progress, Skipped(records.append) if config.skip_bad else None)
    first = next(texts, None)
    if first is None:
        raise DataError(f"{config.data} has no rows", hint="Expected a header and at least one row")
    labels: list[str] = []
    pipeline, encoded = _encode(config, folder, _only_texts(chain([first], texts), labels), progress)
    progress.begin(f"writing {config.out}")
    with alone(config.out, option="OUT"), replacing(config.out) as temporary:
        _require_free(config)  # Somebody may have written one meanwhile.
        temporary.mkdir()
        if records:
            write_text(temporary / SKIPPED, jsonl(records))
            progress.warn(f"{config.data}: {len(records):,} bad rows are left out; {config.out / SKIPPED} names them")
        shape = _write(temporary, pipeline, encoded, labels=labels if config.labels else None)
        files = {file.name: file.stat().st_size for file in sorted(temporary.iterdir())}
    return TokenizeResult(
        data=config.data,
        out=config.out,
        features=pipeline.config.features or "counts",
        orders=pipeline.config.orders,
        texts=len(encoded),
        skipped=len(records),
        shape=shape,
        ngrams=len(pipeline.vocabulary),
        distinct=pipeline.distinct,
        nonzeros=len(encoded.ids),
        empty=int((encoded.lengths == 0).sum()),
        labels=len(set(labels)) if config.labels else None,
        files=files,
    )


def _require_free(config: TokenizeConfig) -> None:
    """Find out before any work whether the folder can be made."""
    from dlcli.core.files import require_writable_parent

    out = config.out
    if out.exists() and not out.is_dir():
        raise SurroundingsError(f"{out} is a file, expected a folder", hint="Choose another OUT")
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if names and not (_PIPELINE in names <= _OURS):
        raise SurroundingsError(f"{out} is not empty, and tokenize did not write it", hint="Choose another OUT")
    if names and not config.force:
        raise SurroundingsError(f"{out} holds what tokenize wrote", hint="Choose another OUT, or add --force")
    if config.from_ is not None and config.from_.exists() and out.resolve() == config.from_.resolve():
        raise UsageError(f"OUT is the folder of --from, {out}: its features would be lost", hint="Choose another OUT")
    require_writable_parent(out, option="OUT")


def _vocabulary_folder(config: TokenizeConfig) -> Path:
    """Return the folder of the pipeline that `--from` names, and hold the given settings against it."""
    from dlcli.core.record import PIPELINE, RECORD, open_finished

    assert config.from_ is not None
    folder = config.from_
    if not folder.exists():
        raise UsageError(f"--from: {folder} does not exist", hint="Expected a folder of tokenize, or a finished run")
    if (folder / RECORD).is_file():
        record = open_finished(folder)
        if record.domain != "text":
            raise UsageError(f"--from: {folder} is a run of {record.verb}, expected one on texts")
        folder = folder / PIPELINE
    if not (folder / _PIPELINE).is_file():
        raise ModelError(
            f"--from: {folder} has no {_PIPELINE}", hint="Expected a folder that tokenize wrote, or a finished run"
        )
    for name in sorted(config.model_fields_set & TextPipelineConfig.model_fields.keys()):
        raise UsageError(f"{flag(name)}: --from takes settings and vocabulary from {config.from_}", hint="Leave it out")
    return folder


def _texts(config: TokenizeConfig, progress: Progress, skip: Skip | None) -> Iterator[tuple[str, str]]:
    """Yield texts and labels; the latter are empty where they are not wanted."""
    from dlcli.text.read import labelled_texts, scan_texts

    source = resolve_input(config.data)
    progress.begin(f"reading {source}")
    if config.labels:
        yield from ((row.item, row.label) for row in labelled_texts(source, config, part="train", skip=skip))
    else:
        found = scan_texts(source, column=config.text_column, encoding=config.encoding)
        yield from ((row.item, "") for row in strict(found, skip))


def _only_texts(rows: Iterable[tuple[str, str]], labels: list[str]) -> Iterator[str]:
    """Yield the texts, and put the labels into a list, in which equal ones are one string."""
    known: dict[str, str] = {}
    for text, label in rows:
        labels.append(known.setdefault(label, label))
        yield text


def _encode(
    config: TokenizeConfig, folder: Path | None, texts: Iterator[str], progress: Progress
) -> tuple[TextPipeline, EncodedTexts]:
    """Return the pipeline and the texts as ids, with counts also where TF-IDF weights are wanted."""
    from dlcli.text.pipeline import TextPipeline

    if folder is not None:
        pipeline = TextPipeline.load(folder)
        weighted = pipeline.config.features == "tfidf"
        return pipeline, (pipeline.with_features("counts") if weighted else pipeline).encode(texts)
    settings = config.take(TextPipelineConfig)
    if settings.features != "tfidf":
        return TextPipeline.adapt(texts, settings)
    # The weights that models take have four bytes; these come from the counts, with eight.
    pipeline, encoded = TextPipeline.adapt(texts, settings.model_copy(update={"features": "counts"}))
    return pipeline.with_features("tfidf"), encoded


def _write(folder: Path, pipeline: TextPipeline, encoded: EncodedTexts, *, labels: list[str] | None) -> tuple[int, int]:
    """Write everything into a folder; return the shape of the matrix or of the ids."""
    from dlcli.text import features

    if pipeline.config.ordered:
        longest = max(1, int(encoded.lengths.max()))
        length = int(pipeline.config.max_length or longest)
        features.write_ids(folder / IDS, encoded, length=length)
    else:
        length = len(pipeline.vocabulary)
        idf = pipeline.idf if pipeline.config.features == "tfidf" else None
        features.write_matrix(folder / MATRIX, encoded, columns=length, idf=idf)
    if labels is not None:
        features.write_labels(folder / LABELS, labels)
    pipeline.save(folder)
    return len(encoded), length


ACTION = Action(
    config=TokenizeConfig,
    function=tokenize,
    examples=(
        "dlcli tokenize sample_data/reviews.csv bag/ --features tfidf --ngrams 2 --min-df 2%",
        "dlcli tokenize sample_data/reviews-test.csv test-bag/ --from bag/",
        "dlcli tokenize reviews.csv ids/ --features ids --max-length 400 --padding pre",
    ),
)
