"""What the script of a text run has of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlcli.core.layers import HEAD
from dlcli.core.lines import SKIPPED
from dlcli.core.record import PIPELINE, RunRecord
from dlcli.core.tables import TABLES
from dlcli.errors import UsageError
from dlcli.results.eject.network import layer_sources, network_source
from dlcli.serving.predictor import Predictor
from dlcli.text.bag_models import NGRAM_WEIGHTS
from dlcli.text.cleaning import SPACES, URL
from dlcli.text.normalise import HTML
from dlcli.text.pipeline import TextPipeline


def left_out(config: Any, record: RunRecord) -> list[str]:
    """Return what of the training the script does not do, each with the reason."""
    precision = record.model["precision"]
    reasons = {
        f"--precision {precision}: the script computes in float32": precision != "float32",
        "--vectors: the embedding starts at random": config.vectors is not None,
        "--unlabelled: the embedding starts at random": config.unlabelled is not None,
    }
    return [what for what, used in reasons.items() if used]


def notes(config: Any, run: Path) -> list[str]:
    """Return what a reader of the script should know."""
    if not (run / PIPELINE / "words.tsv").exists():
        return []
    return ["Stop words and stems are looked up in the table that the run keeps."]


def values(predictor: Predictor, config: Any) -> dict[str, Any]:
    """Return what the template is filled with."""
    pipeline = predictor.pipeline
    assert isinstance(pipeline, TextPipeline)
    if (predictor.path / SKIPPED).exists():
        raise UsageError(
            f"the script reads every row, and the training of {predictor.path} left bad ones out ({SKIPPED})",
            hint="Mend them, and train anew",
        )
    cleaning = pipeline.config
    words = predictor.path.resolve() / PIPELINE / "words.tsv"
    data = Path(config.data)
    valued = cleaning.features in ("counts", "tfidf")
    given = {f"{NGRAM_WEIGHTS}.weights": "weights"} if config.model == "ngram" else {}
    start = ""
    if config.model == "ngram" and not config.hidden_units and config.initializer is None:
        start = _contrasts(predictor.model.get_layer(HEAD).kernel.shape[0], len(predictor.labels))
    encoding = config.encoding.lower()
    return {
        "template": "text.py.jinja",
        "title": f"A text classifier ({config.model})",
        "kind": "folder" if data.is_dir() else TABLES[data.suffix.lower()],
        "encoding": "utf-8-sig" if encoding in ("utf-8", "utf8") and not data.is_dir() else config.encoding,
        "text_column": config.text_column,
        "label_column": config.label_column,
        "identity": "item",
        "cleaning": cleaning,
        "spaces": f"{HTML}|{SPACES}" if cleaning.strip_html else SPACES,
        "url": URL,
        "words": str(words) if words.exists() else "",
        "ordered": cleaning.ordered,
        "orders": cleaning.orders,
        "min_count": cleaning.min_count,
        "max_features": cleaning.max_features,
        "by_texts": cleaning.min_df is not None or cleaning.max_df is not None,
        "min_df": _documents(cleaning.min_df, "0"),
        "max_df": _documents(cleaning.max_df, "len(items)"),
        "features": cleaning.features,
        "valued": valued,
        "truncating": cleaning.truncating or "post",
        "max_length": cleaning.max_length,
        "model": config.model,
        "layer_sources": "\n\n".join(layer_sources(predictor.model)),
        "network": "\n".join(network_source(predictor.model, given=given)),
        "start": start,
        "batch": f"{'*' * valued}padded([inputs[row] for row in rows])",
        "inputs_spec": ["tf.TensorSpec([None, None], tf.int32)", *["tf.TensorSpec([None, None], tf.float32)"] * valued],
        "forward": "model(padded(val_inputs[start:start + 512]), training=False)",
        "forward_size": 512,
    }


def _documents(bound: float | int | None, default: str) -> str:
    if bound is None:
        return default
    return f"{bound} * len(items)" if isinstance(bound, float) else str(bound)


def _contrasts(dim: int, classes: int) -> str:
    """Return the expression of a linear model's first head: what tells each class from the others."""
    if dim == 1 and classes == 2:
        return "[[-0.5, 0.5]]"
    if dim == classes:
        return "np.eye(len(CLASSES)) - 1 / len(CLASSES)"
    random = "np.random.Generator(np.random.Philox(key=[SEED, 2**32]))"
    return f"{random}.standard_normal(({dim}, len(CLASSES))) / np.sqrt({dim})"
