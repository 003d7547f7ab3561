"""A finished run as one plain Keras script that trains it again."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from dlcli import __version__
from dlcli.core import schedules
from dlcli.core.dataset import class_weights
from dlcli.core.losses import make_loss, takes_label_ids
from dlcli.core.optimizers import KERAS_OPTIMIZERS, OWN_SETTINGS
from dlcli.core.record import RunRecord
from dlcli.core.weights import hash_of_weights
from dlcli.errors import ModelError, printable
from dlcli.results.eject import pictures, texts
from dlcli.results.eject.source import source_of
from dlcli.serving.predictor import Predictor

# The time of a learning rate counts in these settings.
_OF_SCHEDULES = ("decay_rate", "decay_epochs", "power", "end_lr", "cycles", "cycle_growth", "peak")
_OF_KERAS = ("initializers", "layers", "ops", "regularizers")
_SHARED = {"batch_size", "epochs", "patience", "min_delta", "lr", "weight_decay"}


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script, and what it leaves out."""

    source: str
    left_out: list[str]


def write_script(run: Path, config: Any, *, name: str) -> Script:
    """Return the script of a run.

    Args:
        run: finished.
        config: its settings, as its verb's model has them.
        name: what the script will be called.

    Raises:
        UsageError: a run that no short script trains.
        ModelError: the run is damaged.
    """
    predictor = Predictor(run)
    record = predictor.record
    domain = texts if record.domain == "text" else pictures
    left_out = [*_left_out(config), *domain.left_out(config, record)]
    values = {
        "run": run.resolve().name,
        "version": __version__,
        "script": name,
        "machine": _machine(record),
        "notes": domain.notes(config, run),
        "left_out": left_out,
        "classes": record.labels,
        "digest": hash_of_weights(predictor.model),
        "seed": record.seed,
        **_split(config),
        **_training(config, predictor),
        **domain.values(predictor, config),
    }
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,  # noqa: S701 - it is Python, not HTML; names are written with `repr`.
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=lambda value: value if isinstance(value, (str, jinja2.Undefined)) else repr(value),
    )
    templates.filters["repr"] = repr
    templates.filters["in_docstring"] = _in_docstring
    values["of_keras"] = ", ".join(
        name for name in _OF_KERAS if f"{name}." in values["network"] + values["layer_sources"]
    )
    source = _tidy(templates.get_template(values["template"]).render(values))
    return Script(source=source, left_out=left_out)


def _in_docstring(text: str) -> str:
    """Return a name as it may stand in the script's first string, whatever is in it."""
    return printable(text).replace("\\", "/").replace('"', "'").replace("\n", " ")


def _tidy(source: str) -> str:
    """Leave one empty line where a template left several."""
    lines: list[str] = []
    for line in source.split("\n"):
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines)


def _machine(record: RunRecord) -> str:
    try:
        machine, versions = record.machine, record.machine["versions"]
        return (
            f"{machine['processor']['name']}, {machine['threads']} threads, TensorFlow {versions['tensorflow']}, "
            f"Keras {versions['keras']}, NumPy {versions['numpy']}"
        )
    except (KeyError, TypeError) as error:
        raise ModelError(f"the record of the run does not say its machine ({error})", hint="Train it anew") from None


def _left_out(config: Any) -> list[str]:
    """Return what of the training the script does not do, each with the reason."""
    reasons = {
        "--ema (averaged weights)": config.ema is not None,
        "--accumulate (several batches a step)": config.accumulate > 1,
        "--layer-lr and smaller rates of lower layers": bool(config.layer_lr),
        "--schedule plateau": config.schedule == "plateau",
        f"--monitor {config.monitor}: the best epoch is picked by val_accuracy": config.monitored()
        not in ("val_accuracy", "val_loss"),
        "--device with several devices": "," in config.device,
        "--jit: each width that is compiled is one more shape": config.jit == "on",
        "--from: the training started from another run's weights": config.from_ is not None,
    }
    return [f"{what}: dlcli's own, more than a short script" for what, used in reasons.items() if used]


def _split(config: Any) -> dict[str, Any]:
    """Return where the data is, and how a part of it is held out."""
    data = Path(config.data)
    val = config.val or (data / "val" if data.is_dir() and (data / "val").is_dir() else None)
    root = data / "train" if data.is_dir() and (data / "train").is_dir() else data
    share = config.val_split
    return {
        "data": str(root),
        "val": str(val) if val else "",
        "share": share if isinstance(share, float) else f"{share} / len(items)",
        "share_text": f"{100 * share:g} % of each class" if isinstance(share, float) else f"{share:,} items",
    }


def _training(config: Any, predictor: Predictor) -> dict[str, Any]:
    """Return how the network is trained."""
    loss = make_loss(config, classes=len(predictor.labels))
    scheduled = config.schedule not in ("constant", "plateau") or bool(config.warmup)
    return {
        **{name: getattr(config, name) for name in _SHARED},
        "label_ids": takes_label_ids(config),
        "smoothing": config.label_smoothing or 0,
        "class_weights": _class_weights(config.class_weight, predictor.labels),
        "loss": _loss(loss),
        "loss_of_each": _loss(loss, "reduction=None"),
        "score": "-loss" if config.monitored() == "val_loss" else "accuracy",
        "rate_source": rate_source(config) if scheduled else "",
        "rate_name": f"_{config.schedule.replace('-', '_')}",
        "warmup": _warmup(config),
        "optimizer_class": KERAS_OPTIMIZERS[config.optimizer].__name__,
        "optimizer": _optimizer(config, own=predictor.record.domain == "text" or bool(config.weight_decay)),
    }


def _class_weights(text: str, names: list[str]) -> str:
    """Return the expression of the weight of each class, if they have any."""
    if text == "none":
        return ""
    if text == "balanced":
        return "len(labels) / (len(CLASSES) * np.bincount(labels))"
    found = class_weights(text, np.zeros(0, np.int64), names)
    assert found is not None
    return str(found.tolist())


def _loss(loss: Any, *more: str) -> str:
    """Return the expression of a loss."""
    settings = [f"{name}={value}" for name, value in loss.get_config().items() if name in ("alpha", "gamma")]
    return f"keras.losses.{type(loss).__name__}({', '.join([*settings, *more])})"


def _optimizer(config: Any, *, own: bool) -> str:
    kind = "Optimizer" if own else f"keras.optimizers.{KERAS_OPTIMIZERS[config.optimizer].__name__}"
    settings = {"global_clipnorm": config.clip_norm, "clipvalue": config.clip_value}
    settings |= {name: getattr(config, name) for name in OWN_SETTINGS}
    given = [f"{name}={value!r}" for name, value in settings.items() if value is not None and value is not False]
    return f"{kind}({', '.join([repr(config.lr), *given])})"


def _warmup(config: Any) -> str:
    """Return the expression of how many epochs the warm-up takes."""
    if config.warmup is None:
        return ""
    return f"{config.warmup * config.epochs}" if isinstance(config.warmup, float) else f"{config.warmup} * length"


def rate_source(config: Any) -> str:
    """Return the source of a schedule with its settings filled in: a function of the time and its end, in epochs."""
    formula = schedules.FORMULAS[config.schedule]
    values: dict[str, Any] = {f"config.{name}": getattr(config, name) for name in _OF_SCHEDULES}
    values |= {"lr": config.lr, **_constants(schedules)}
    used = {name: value for name, value in values.items() if name in inspect.getsource(formula)}
    parts = [source_of(formula, values={**used, "config": None})]
    if "_between" in parts[0]:
        parts.insert(0, source_of(schedules._between))
    return "\n\n".join(parts)


def _constants(module: Any) -> Mapping[str, Any]:
    return {name: value for name, value in vars(module).items() if isinstance(value, float)}
