"""Explanations of texts: sums that add up, a planted word that is found, and weights that matter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import call
from scipy.stats import spearmanr
from verbs.helpers import read_csv, write_csv

from dlcli.errors import UsageError
from dlcli.results.explain import Settings, TextExplanation, explainer, fragment

TEXT = "I <br /> LOVED this café, and it wasn't bad at all. I loved it <b>so</b> much!"


def predictor_of(run: Path) -> Any:
    from dlcli.serving.predictor import Predictor

    return Predictor(run)


@pytest.fixture(scope="module")
def bigrams(run: Path) -> Any:
    return predictor_of(run)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of a convolution on random words, among which one alone decides."""
    folder = tmp_path_factory.mktemp("planted")
    random = np.random.default_rng(3)
    rows = []
    for number in range(200):
        words = random.choice([f"word{n}" for n in range(30)], 8).tolist()
        words[random.integers(8)] = ("zebra", "tiger")[number % 2]
        rows.append({"text": " ".join(words), "label": ("stripes", "spots")[number % 2]})
    data = write_csv(folder / "planted.csv", rows)
    outcome = call("train-text", data, "--model", "cnn", "--units", "16", "--epochs", "4", "--out", folder / "run")
    assert outcome.code == 0, outcome.err
    return folder / "run"


def log_odds(explanation: TextExplanation) -> float:
    assert explanation.probability is not None
    return math.log(explanation.probability / (1 - explanation.probability))


def test_contributions_of_n_grams_and_the_rest_are_the_logit(bigrams: Any) -> None:
    for target in (0, 1):
        (found,) = explainer(bigrams)([TEXT], [target])
        assert (found.method, found.target) == ("exact", bigrams.labels[target])
        assert found.logit == pytest.approx(log_odds(found), abs=1e-4)
        assert found.start is not None
        assert found.start + sum(term.weight for term in found.terms) == pytest.approx(found.logit, abs=1e-4)
        # The words share it all out between them.
        assert found.start + sum(span.weight for span in found.spans) == pytest.approx(found.logit, abs=1e-4)


def test_an_n_gram_s_contribution_is_its_weight_times_its_embedding(bigrams: Any) -> None:
    (found,) = explainer(bigrams)([TEXT], [1])
    model, pipeline = bigrams.model, bigrams.pipeline
    ids = pipeline.encode([TEXT]).ids
    weights = model.get_layer("ngram_weights").ngram_weights.numpy()[ids]
    weights /= np.linalg.norm(weights)
    kernel = model.get_layer("classes").kernel.numpy()
    logits = weights[:, np.newaxis] * model.get_layer("embedding").table.numpy()[ids] @ kernel
    expected = dict(zip([pipeline.vocabulary.terms[i - 1] for i in ids], logits[:, 1] - logits[:, 0], strict=True))
    assert {term.text: term.weight for term in found.terms} == pytest.approx(expected, abs=1e-5)
    assert {term.text: term.count for term in found.terms}["i loved"] == 2
    assert "loved" in [term.text for term in found.terms[:3]]
    assert next(term.count for term in found.terms if term.text == "at all") == 1


def test_integrated_gradients_of_a_sum_are_its_contributions(bigrams: Any) -> None:
    exact, integrated = (explainer(bigrams, method=method)([TEXT])[0] for method in ("exact", "integrated"))
    assert [s.weight for s in integrated.spans] == pytest.approx([s.weight for s in exact.spans], abs=1e-5)


def test_words_stand_where_they_are_in_the_raw_text(bigrams: Any) -> None:
    (found,) = explainer(bigrams)([TEXT])
    words = [TEXT[span.start : span.stop] for span in found.spans]
    assert " ".join(words) == "I LOVED this café , and it wasn ' t bad at all . I loved it so much !"


def test_texts_without_a_known_word_have_no_weights(bigrams: Any) -> None:
    for found in explainer(bigrams)(["", "xyzzy", "<br />"]):
        assert found.terms == [] and not any(span.weight for span in found.spans)
        assert found.start == pytest.approx(found.logit)
        assert "no word that it knows" in fragment(found)
    assert all(found.spans == [] for found in explainer(bigrams, method="occlusion")(["", "<br />"]))


def test_an_explanation_does_not_depend_on_its_company(bigrams: Any) -> None:
    explain = explainer(bigrams, method="occlusion")
    alone, together = explain([TEXT])[0], explain(["Bad. " * 40, TEXT])[1]
    assert [s.weight for s in alone.spans] == pytest.approx([s.weight for s in together.spans], abs=1e-5)


def test_leaving_a_word_out_is_what_occlusion_does(bigrams: Any) -> None:
    text = "I loved it, not bad"
    (found,) = explainer(bigrams, method="occlusion")([text], [1])
    whole, without = bigrams.outputs([text, "I  it, not bad"])[:, 1]
    expected = math.log(whole / (1 - whole)) - math.log(without / (1 - without))
    assert found.spans[1].weight == pytest.approx(expected, abs=1e-4)
    (pairs,) = explainer(bigrams, method="occlusion", settings=Settings(window=2))([text], [1])
    without = bigrams.outputs(["I loved it,  "])[0, 1]
    expected = math.log(whole / (1 - whole)) - math.log(without / (1 - without))
    assert next(term.weight for term in pairs.terms if term.text == "not bad") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", ["integrated", "occlusion"])
def test_a_planted_word_is_found(planted: Path, method: str) -> None:
    predictor = predictor_of(planted)
    texts = ["word1 word2 <br> Zebra word3 word4", "word9 word8 word7 TIGER word6", "tiger word1 word5"]
    for found in explainer(predictor, method=method)(texts):
        strongest = max(found.spans, key=lambda span: span.weight)
        word = found.item[strongest.start : strongest.stop].lower()
        assert word == {"stripes": "zebra", "spots": "tiger"}[found.target]
        assert found.terms[0].text == word
        if method == "integrated":
            assert found.start is not None
            difference = found.logit - found.start
            assert sum(term.weight for term in found.terms) == pytest.approx(difference, abs=0.01 * max(1, difference))
            assert found.logit == pytest.approx(log_odds(found), abs=1e-3)


def test_another_class_is_explained_by_the_opposite(planted: Path) -> None:
    explain = explainer(predictor_of(planted))
    one, other = (explain(["word1 zebra word2"], [target])[0] for target in (0, 1))
    assert one.method == "integrated"
    assert [s.weight for s in one.spans] == pytest.approx([-s.weight for s in other.spans], abs=1e-4)


@pytest.mark.parametrize("method", ["integrated", "occlusion"])
def test_explanations_change_with_the_weights(planted: Path, method: str) -> None:
    """Adebayo et al. 2018, "Sanity Checks for Saliency Maps": of random weights they must not be alike."""
    predictor = predictor_of(planted)
    texts = [row["text"] for row in read_csv(planted.parent / "planted.csv")[:4]]
    before = np.concatenate(
        [[s.weight for s in one.spans] for one in explainer(predictor, method=method)(texts, [0] * 4)]
    )
    random = np.random.default_rng(5)
    predictor.model.set_weights([random.normal(0, 0.3, w.shape) for w in predictor.model.get_weights()])
    after = np.concatenate(
        [[s.weight for s in one.spans] for one in explainer(predictor, method=method)(texts, [0] * 4)]
    )
    assert abs(spearmanr(before, after).statistic) < 0.4


def test_cut_texts_have_weights_on_the_words_that_are_left(planted: Path, tmp_path: Path) -> None:
    predictor = predictor_of(planted)
    for truncating, expected in (("pre", ["word3", "word4"]), ("post", ["word1", "word2"])):
        pipeline = predictor.pipeline
        pipeline.config = pipeline.config.model_copy(update={"max_length": 2, "truncating": truncating})
        pipeline._ids = pipeline.ids
        (found,) = explainer(predictor)(["word1 word2 word3 word4"])
        assert [found.item[s.start : s.stop] for s in found.spans] == expected


def test_methods_that_a_model_does_not_take(planted: Path, bigrams: Any) -> None:
    with pytest.raises(UsageError, match=r"exact is for sums over n-grams.*\. Use integrated or occlusion"):
        explainer(predictor_of(planted), method="exact")
    with pytest.raises(UsageError, match="the method gradcam is not for texts"):
        explainer(bigrams, method="gradcam")
    with pytest.raises(UsageError, match="a layer is for the method gradcam"):
        explainer(bigrams, settings=Settings(layer="conv_1"))


def test_names_and_texts_are_inert(bigrams: Any) -> None:
    text = '<script>alert(1)</script> I loved "it" \u202e & <img src=x onerror=alert(1)>\x07'
    (found,) = explainer(bigrams)([text])
    html = str(fragment(found))
    assert "<script" not in html and "<img" not in html and "\x07" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert '<mark class="for" style="--w:100%" title="+' in html and ">loved</mark>" in html
    assert "more characters" in fragment(found, longest=20) and "more" not in html


MODELS = {
    "bow": {"features": "counts"},
    "ngram": {"hidden_units": (6,)},
    "mlp": {"features": "tfidf"},
    **{name: {} for name in ("cnn-lstm", "transformer")},
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_all_kinds_have_logits_and_a_method(name: str) -> None:
    from dlcli.text import models
    from dlcli.text.config import TextModelConfig, TextPipelineConfig
    from dlcli.text.pipeline import TextPipeline

    settings = dict(MODELS[name])
    wanted = TextPipelineConfig(features=settings.pop("features", None), max_length=None).for_model(name)
    if wanted.ordered:
        wanted = wanted.model_copy(update={"max_length": 6})
    texts = ["a good film", "a bad film , not good", "so so"]
    pipeline, encoded = TextPipeline.adapt(texts, wanted)
    sizes = {"embedding_dim": 4, "units": 4} if wanted.ordered else {}
    config = TextModelConfig(model=name, initializer="random_normal:stddev=0.5", **sizes, **settings)
    model = models.build(config, pipeline, encoded, np.array([0, 1, 2]), classes=3, seed=3)

    class Answers:
        labels, probabilistic = ["x", "y", "z"], True

        def __init__(self) -> None:
            self.model, self.pipeline = model, pipeline

        def outputs(self, items: list[str]) -> Any:
            return np.asarray(model(pipeline.graph(items)))

    explain = explainer(Answers())
    (found,) = explain(["GOOD film, unseen film"], [1])
    logs = np.log(Answers().outputs(["GOOD film, unseen film"])[0])
    assert found.logit == pytest.approx(logs[1] - (logs[0] + logs[2]) / 2, abs=2e-4)
    assert found.method == ("exact" if name == "bow" else "integrated")
    assert found.start is not None
    difference = found.logit - found.start
    assert sum(span.weight for span in found.spans) == pytest.approx(difference, abs=0.02 * max(1.0, abs(difference)))
    assert [found.item[span.start : span.stop] for span in found.spans] == ["GOOD", "film", ",", "unseen", "film"]
