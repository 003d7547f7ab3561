"""What stands beside a model that takes ids or pixels, so that a runner without TensorFlow makes the same ones."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.core.backend import tf
from dlcli.core.domain import Pipeline
from dlcli.core.files import write_text
from dlcli.text.cleaning import letters_without_accents
from dlcli.text.ensemble import EnsemblePipeline
from dlcli.text.pipeline import TextPipeline
from dlcli.vision.pipeline import PicturePipeline

VOCABULARY, WORDS, CHARACTERS = "vocabulary.tsv", "words.tsv", "characters.json"


def describe(pipeline: Pipeline) -> dict[str, Any]:
    """Return the settings of a pipeline as `model.json` has them: each one that decides on ids or pixels."""
    if isinstance(pipeline, EnsemblePipeline):
        return {"members": [describe(member) for member in pipeline.members]}
    if isinstance(pipeline, TextPipeline):
        settings = pipeline.config.model_dump(mode="json")
        own = {"ngrams": list(pipeline.config.orders), "features": pipeline.config.features or "binary"}
        return settings | own | {"padding": pipeline.config.padding or "post"}
    assert isinstance(pipeline, PicturePipeline), "there are two domains"
    return pipeline.config.model_dump(mode="json") | {"image_size": list(pipeline.shape[:2])}


def write(pipeline: Pipeline, folder: Path, *, inside: str = "") -> dict[str, Any]:
    """Write the files that a runner makes a model's inputs with.

    Args:
        pipeline: of the run.
        folder: of the artefact.
        inside: the part of it for this pipeline, such as `1/`.

    Returns:
        what `describe` does, with the names of the files: `vocabulary`, `words` (None: no word is dropped or
        stemmed) and `characters`; pictures need none.
    """
    if isinstance(pipeline, EnsemblePipeline):
        numbered = enumerate(pipeline.members, start=1)
        return {"members": [write(member, folder, inside=f"{inside}{number}/") for number, member in numbered]}
    found = describe(pipeline)
    if isinstance(pipeline, TextPipeline):
        (folder / inside).mkdir(exist_ok=True)
        _write_vocabulary(pipeline, folder / inside / VOCABULARY)
        characters = json.dumps(_characters(accents=pipeline.config.strip_accents))
        write_text(folder / inside / CHARACTERS, characters + "\n")
        words = pipeline.cleaner.words
        if words:
            words.save(folder / inside / WORDS)
        names = {"vocabulary": VOCABULARY, "words": WORDS if words else None, "characters": CHARACTERS}
        found |= {name: file and inside + file for name, file in names.items()}
    return found


def _write_vocabulary(pipeline: TextPipeline, path: Path) -> None:
    """Write a line an n-gram, in the order of their bytes: a reader need not read all to find a few.

    It has the n-gram's words, its id, and with TF-IDF its inverse document frequency.
    """
    terms = list(pipeline.vocabulary.terms)
    order = sorted(range(len(terms)), key=terms.__getitem__)
    if pipeline.config.features == "tfidf":
        weights = [str(weight) for weight in pipeline.idf.astype(np.float32)]
        lines = [f"{terms[place]}\t{place + 1}\t{weights[place]}\n" for place in order]
        write_text(path, "ngram\tid\tidf\n" + "".join(lines))
    else:
        write_text(path, "ngram\tid\n" + "".join(f"{terms[place]}\t{place + 1}\n" for place in order))


def _characters(*, accents: bool) -> dict[str, Any]:
    """Return what the graph knows of Unicode, whose version is another in each language and each of its versions.

    Args:
        accents: whether the table of letters without their accents is wanted: a fifth of a megabyte.

    Returns:
        as a regular expression has them in brackets: `word`, `number` and `mark`, the characters of words (letters,
        marks, digits, underscore), of numbers and accents; `cased` and `ignorable`, by which a sigma is seen to end a
        word (the Unicode Standard, 3.13, Final_Sigma). `lower`: the characters beyond ASCII that have another form in
        lower case. `plain`: what becomes of a letter without its accents, for those that change.
    """
    found = dict(_classes())
    return found | {"plain": letters_without_accents()} if accents else found


@functools.cache
def _classes() -> dict[str, str]:
    codes = np.array([*range(1, 0xD800), *range(0xE000, 0x110000)])
    characters = tf.constant([chr(code) for code in codes])

    def lowered(before: str, behind: str = "") -> np.ndarray[Any, Any]:
        return np.asarray(tf.strings.lower(before + characters + behind, encoding="utf-8").numpy())

    def ends_word(before: str) -> np.ndarray[Any, Any]:
        """Say behind which characters a sigma has the form that it has at the end of a word."""
        return np.array([text.endswith("ς".encode()) for text in lowered(before, "Σ")])

    classes = {"word": r"[\p{L}\p{M}\p{N}_]", "number": r"\p{N}", "mark": r"\p{M}"}
    kinds = {name: tf.strings.regex_full_match(characters, rule).numpy() for name, rule in classes.items()}
    kinds["cased"] = ends_word("")
    kinds["ignorable"] = ends_word("a") & ~kinds["cased"]
    changed = codes[lowered("") != characters.numpy()]
    found = {name: _ranges(codes[kind]) for name, kind in kinds.items()}
    return found | {"lower": "".join(chr(code) for code in changed if code > 0x7F)}


def _ranges(codes: np.ndarray[Any, Any]) -> str:
    """Return ascending numbers of characters as ranges: `0-9A-Z_a-z`."""
    groups = np.split(codes, np.flatnonzero(np.diff(codes) > 1) + 1)
    ends = [(_escaped(group[0]), _escaped(group[-1])) for group in groups]
    return "".join(first if first == last else f"{first}-{last}" for first, last in ends)


def _escaped(code: int) -> str:
    return f"\\{chr(code)}" if chr(code) in "\\]^-[" else chr(code)
