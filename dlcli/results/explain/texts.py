"""Explanations of texts: what each n-gram adds, integrated gradients on embeddings, and occlusion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.forward import Forward
from dlcli.errors import UsageError
from dlcli.results.explain.alignment import place_tokens
from dlcli.results.explain.explanation import Settings, Span, Term, TextExplanation
from dlcli.results.explain.logits import Contrast, Gradients, integrated, to_logits
from dlcli.text.bag_models import BagEmbedding
from dlcli.text.cleaning import Cleaner, strings_of
from dlcli.text.pipeline import TextPipeline
from dlcli.text.sequence_layers import WordEmbedding

_Place = tuple[int, int] | None
# Rows that a gradient is taken of together.
_TOGETHER = 32
# Layers under which a sum of n-grams stays a sum.
_STRAIGHT = (keras.layers.Dense, keras.layers.Dropout, Contrast)


class Words(NamedTuple):
    """The words of a text that its model reads.

    Attributes:
        places: of each in the raw text: its first character and behind its last one; None where it cannot be told.
        keys: int64, as the pipeline looks them up.
    """

    places: list[_Place]
    keys: np.ndarray[Any, Any]


def words_of(texts: Sequence[str], cleaner: Cleaner) -> list[Words]:
    """Return the words of texts, with numbers, short words and stop words dropped as the cleaner drops them."""
    split = cleaner.split(tf.constant(texts, tf.string))
    # A row a token, so that it shows which ones are left.
    single = tf.RaggedTensor.from_uniform_row_length(split.values, 1)
    keys = cleaner.keys(cleaner.without_short(cleaner.without_numbers(single)))
    kept, tokens = keys.row_lengths().numpy().astype(bool), strings_of(split.values)
    left = np.concatenate([[0], np.cumsum(kept)])
    config, found, start = cleaner.config, [], 0
    for text, length in zip(texts, split.row_lengths().numpy().tolist(), strict=True):
        stop = start + length
        places = place_tokens(text, tokens[start:stop], strip_html=config.strip_html, strip_urls=config.strip_urls)
        some = [place for place, is_kept in zip(places, kept[start:stop], strict=True) if is_kept]
        found.append(Words(some, keys.values.numpy()[left[start] : left[stop]]))
        start = stop
    return found


class TextExplainer:
    """Explains a text classifier's answers.

    Args:
        predictor: the run.
        settings: which method, and what it is told.

    Raises:
        UsageError: the method is none for texts, or the model does not take it.
    """

    def __init__(self, predictor: Any, settings: Settings) -> None:
        self.predictor = predictor
        self.settings = settings
        self.model = to_logits(predictor.model)
        self._explain = self._ways(settings.method)

    def __call__(self, items: Sequence[str], targets: Sequence[int] | None = None) -> list[TextExplanation]:
        """Explain texts.

        Args:
            items: raw.
            targets: the number of a class for each; without them the predicted ones.
        """
        outputs = self.predictor.outputs(items)
        classes = outputs.argmax(axis=1) if targets is None else np.asarray(targets)
        words = words_of(items, _first(self.predictor.pipeline).cleaner) if items else []
        return [
            TextExplanation(
                item=item,
                target=self.predictor.labels[target],
                probability=float(row[target]) if self.predictor.probabilistic else None,
                method=self.method,
                **self._explain(item, some, int(target))._asdict(),
            )
            for item, some, target, row in zip(items, words, classes, outputs, strict=True)
        ]

    def _ways(self, method: str) -> Callable[[str, Words, int], _Found]:
        """Return what explains a text, and remember what it is called."""
        if self.settings.layer is not None:
            raise UsageError("a layer is for the method gradcam of pictures, and the run is of texts")
        if method not in ("auto", "exact", "integrated", "occlusion"):
            raise UsageError(f"the method {method} is not for texts", hint="Use one of exact, integrated, occlusion")
        together = not isinstance(self.predictor.pipeline, TextPipeline)
        bag = next((layer for layer in self.model.layers if isinstance(layer, BagEmbedding)), None)
        straight = bag is not None and is_sum(self.model, bag)
        if together and method in ("exact", "integrated"):
            raise UsageError(
                f"the method {method} looks into one model, and the run is an ensemble of several",
                hint="Use occlusion, or explain a member",
            )
        if method == "exact" and not straight:
            raise UsageError(
                f"the method exact is for sums over n-grams, bow and ngram without hidden layers, "
                f"and the model is {self.predictor.model.name!r}",
                hint="Use integrated or occlusion",
            )
        if method == "auto":
            method = "occlusion" if together else "exact" if straight else "integrated"
        self.method = method
        if method == "occlusion":
            return _Occlusion(self)
        return _Sequence(self) if bag is None else _Bag(self, bag, straight=straight)


class _Found(NamedTuple):
    """See `TextExplanation`."""

    spans: list[Span]
    terms: list[Term]
    logit: float
    start: float | None


def is_sum(model: keras.Model, bag: BagEmbedding) -> bool:
    """Say whether a model's logits are a sum over its bag's n-grams: nothing above bends it."""
    above = model.operations[model.operations.index(bag) :]
    return all(
        isinstance(layer, (BagEmbedding, *_STRAIGHT))
        and getattr(layer, "activation", keras.activations.linear) is keras.activations.linear
        for layer in above
    )


class _Bag:
    """Integrated gradients from no n-grams to those of the text; where the model is a sum, what each adds to it."""

    def __init__(self, explainer: TextExplainer, bag: BagEmbedding, *, straight: bool) -> None:
        self.pipeline = explainer.predictor.pipeline
        self.straight = straight
        model = explainer.model
        ids, values = bag.input
        self._values = keras.Model(model.inputs, values)
        self._gradients = Gradients(keras.Model([ids, values], model.output), together=_TOGETHER)

    def __call__(self, text: str, words: Words, target: int) -> _Found:
        encoded = self.pipeline.ids(tf.constant([text]))
        ids = encoded.ids.to_tensor(shape=(1, max(1, int(encoded.ids.row_lengths()[0]))))
        values = self._values(encoded.padded(padding="post")).numpy()[0]
        gradient = self._gradients.of(target, ids)
        weights, start, logit = integrated(gradient, np.zeros_like(values), values, straight=self.straight)
        weight_of = dict(zip(ids.numpy()[0].tolist(), weights.tolist(), strict=True))
        weight_of.pop(0, None)
        return self._shared(words, weight_of, logit=logit, start=start)

    def _shared(self, words: Words, weight_of: dict[int, float], *, logit: float, start: float) -> _Found:
        """Share the weight of each n-gram between its occurrences, and that of an occurrence between its words."""
        shortest = self.pipeline.config.orders[0]
        keys = tf.RaggedTensor.from_row_lengths(words.keys, [len(words.keys)])
        met: dict[int, list[range]] = {number: [] for number in weight_of}
        for first, row in enumerate(self.pipeline.ngram_ids(keys).numpy().tolist()):
            for order, number in enumerate(row, start=shortest):
                if number:
                    met[number].append(range(first, first + order))
        shares = np.zeros(len(words.keys))
        for number, places in met.items():
            for place in places:
                shares[place.start : place.stop] += weight_of[number] / (len(places) * len(place))
        vocabulary = self.pipeline.vocabulary.terms
        terms = [
            Term(text=vocabulary[number - 1], weight=weight_of[number], count=len(places))
            for number, places in met.items()
        ]
        return _Found(_spans(words.places, shares), _strongest(terms), logit, start)


class _Sequence:
    """Integrated gradients from words without meaning, whose embeddings are zeros, to those of the text."""

    def __init__(self, explainer: TextExplainer) -> None:
        self.pipeline = explainer.predictor.pipeline
        model = explainer.model
        embedding = next(layer for layer in model.layers if isinstance(layer, WordEmbedding))
        self._embed = keras.Model(model.inputs, embedding.output)
        above = keras.Model([*model.inputs, embedding.output], model.output)
        self._gradients = Gradients(above, together=_TOGETHER)

    def __call__(self, text: str, words: Words, target: int) -> _Found:
        encoded = self.pipeline.ids(tf.constant([text]))
        ids = encoded.padded(padding="post")
        embedded = self._embed(ids).numpy()[0]
        gradient = self._gradients.of(target, ids)
        found, start, logit = integrated(gradient, np.zeros_like(embedded), embedded)
        read = self._read(words, int(encoded.ids.row_lengths()[0]))
        weights = found.sum(axis=-1)[: len(read.places)]
        return _Found(_spans(read.places, weights), _words(text, read.places, weights), logit, start)

    def _read(self, words: Words, length: int) -> Words:
        """Return the words that are left of a text that is cut."""
        kept = slice(len(words.keys) - length, None) if self.pipeline.config.truncating == "pre" else slice(length)
        return Words(words.places[kept], words.keys[kept])


class _Occlusion:
    """By how much the logit falls when some words are left out of the raw text; the mean of a word's windows."""

    def __init__(self, explainer: TextExplainer) -> None:
        self.pipeline = explainer.predictor.pipeline
        self._forward = Forward(explainer.model)
        self._window = explainer.settings.window or 1
        self._stride = explainer.settings.stride or 1

    def __call__(self, text: str, words: Words, target: int) -> _Found:
        places = [place for place in words.places if place is not None]
        window = min(self._window, len(places))
        firsts = sorted({*range(0, len(places) - window, self._stride), len(places) - window}) if places else []
        windows = [places[first : first + window] for first in firsts]
        logit, *others = self._forward(self.pipeline.encode([text, *(_without(text, some) for some in windows)]))[
            :, target
        ].tolist()
        weights, counts = np.zeros(len(places)), np.zeros(len(places))
        for first, other in zip(firsts, others, strict=True):
            weights[first : first + window] += logit - other
            counts[first : first + window] += 1
        weights /= np.maximum(counts, 1)
        whole = [(some[0][0], some[-1][1]) for some in windows]
        return _Found(_spans(places, weights), _words(text, whole, [logit - other for other in others]), logit, None)


def _without(text: str, places: Iterable[tuple[int, int]]) -> str:
    """Return a text with a space in the place of each word."""
    parts, behind = [], 0
    for start, stop in places:
        parts += [text[behind:start], " "]
        behind = max(behind, stop)
    return "".join([*parts, text[behind:]])


def _spans(places: Sequence[_Place], weights: Iterable[float]) -> list[Span]:
    """Put weights on those words whose place is known."""
    pairs = zip(places, weights, strict=True)
    return [Span(start=place[0], stop=place[1], weight=float(weight)) for place, weight in pairs if place is not None]


def _words(text: str, places: Sequence[_Place], weights: Iterable[float]) -> list[Term]:
    """Return stretches of a text with their weights; those of equal ones are added up."""
    found: dict[str, list[float]] = {}
    for place, weight in zip(places, weights, strict=True):
        if place is not None:
            found.setdefault(" ".join(text[slice(*place)].lower().split()), []).append(float(weight))
    return _strongest(Term(text=word, weight=sum(some), count=len(some)) for word, some in found.items())


def _strongest(terms: Iterable[Term]) -> list[Term]:
    return sorted(terms, key=lambda term: (-abs(term.weight), term.text))


def _first(pipeline: Any) -> TextPipeline:
    """Return the pipeline whose words are shown: an ensemble's first member's."""
    while not isinstance(pipeline, TextPipeline):
        pipeline = pipeline.members[0]
    return pipeline
