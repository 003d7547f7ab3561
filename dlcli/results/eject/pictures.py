"""What the script of a run on pictures has of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.lines import SKIPPED
from dlcli.core.record import RunRecord
from dlcli.core.tables import TABLES
from dlcli.errors import UsageError
from dlcli.results.eject.network import Names, layer_sources, network_source, operations_source, output_of
from dlcli.serving.predictor import Predictor
from dlcli.vision import base_choice, networks
from dlcli.vision.archives import archives_in, is_archive
from dlcli.vision.config import ImagePipelineConfig
from dlcli.vision.features import FrozenPart
from dlcli.vision.finetune_config import BaseConfig
from dlcli.vision.headers import EXTENSIONS
from dlcli.vision.pipeline import PicturePipeline

_SCALED = """size, wanted = tf.constant(picture.shape[:2], tf.float32), tf.constant([HEIGHT, WIDTH], tf.float32)
{scale}
picture = tf.raw_ops.ScaleAndTranslate(images=picture[None], size={size}, scale=scale, translation={shift}, \
kernel_type='triangle', antialias=True)[0]"""
# How a picture comes to its size, as `vision.decode` does it; `tf.image.resize` is that op too.
_RESIZE = {
    "stretch": ["picture = tf.image.resize(picture, (HEIGHT, WIDTH), antialias=True)"],
    "crop": _SCALED.format(
        scale="scale = tf.repeat(tf.reduce_max(wanted / size), 2)",
        size="[HEIGHT, WIDTH]",
        shift="(wanted - size * scale) / 2",
    ).split("\n"),
    "letterbox": [
        *_SCALED.format(
            scale="inner = tf.clip_by_value(tf.round(size * tf.reduce_min(wanted / size)), 1.0, wanted)\n"
            "scale, sides = inner / size, tf.cast(inner, tf.int32)",
            size="sides",
            shift="[0.0, 0.0]",
        ).split("\n"),
        "above = ([HEIGHT, WIDTH] - sides) // 2",
        "picture = tf.pad(picture, tf.stack([*tf.stack([above, [HEIGHT, WIDTH] - sides - above], 1), [0, 0]]))",
    ],
}


def left_out(config: Any, record: RunRecord) -> list[str]:
    """Return what of the training the script does not do, each with the reason."""
    reasons = {
        "augmentation: dlcli's own draws and warps": config.active,
        "MixUp and CutMix": bool(getattr(config, "mixes", False)),
        f"the base in {record.model['precision']}: a file's layers compute in what they were saved in": (
            record.verb == "finetune" and record.model["precision"] != "float32" and _is_file(config)
        ),
    }
    return [what for what, used in reasons.items() if used]


def _is_file(config: Any) -> bool:
    return base_choice.choose(config.take(BaseConfig)).model is not None


def notes(config: Any, run: Path) -> list[str]:
    """Return what a reader of the script should know."""
    return ["Left out, where pictures have it: a camera's orientation (EXIF), transparency, 16 bits."]


def values(predictor: Predictor, config: Any) -> dict[str, Any]:
    """Return what the template is filled with."""
    data = Path(config.data)
    pipeline = predictor.pipeline
    assert isinstance(pipeline, PicturePipeline)
    pixels = pipeline.config
    channels = pixels.channels
    if (data.is_dir() and archives_in(data)) or is_archive(data):
        raise UsageError(f"eject reads folders and tables of pictures, and {data} is an archive")
    skipped = predictor.path / SKIPPED
    height, width, _ = pipeline.shape
    common = {
        "kind": "folder" if data.is_dir() else TABLES[data.suffix.lower()],
        "endings": tuple(sorted(EXTENSIONS)),
        "path_column": config.path_column,
        "label_column": config.label_column,
        "identity": "hashlib.sha256(item.read_bytes()).digest()",
        "image_size": pixels.image_size,
        "channels": channels,
        "resize": [*_RESIZE[pixels.resize], "picture = tf.cast(tf.round(picture), tf.uint8)"],
        "skipped": [json.loads(line)["file"] for line in skipped.read_text().splitlines()] if skipped.exists() else [],
        "batch": "inputs[rows]",
        "inputs_spec": ["tf.TensorSpec([None, *inputs.shape[1:]], inputs.dtype)"],
        "forward_size": max(1, min(512, 2**21 // (height * width))),
    }
    common["forward"] = f"model(val_inputs[start:start + {common['forward_size']}], training=False)"
    if predictor.record.verb == "finetune":
        return common | _transfer(predictor, pipeline.config, config)
    return common | {
        "template": "pictures.py.jinja",
        "title": f"A picture classifier ({config.model})",
        "layer_sources": "\n\n".join(layer_sources(predictor.model)),
        "network": "\n".join(network_source(predictor.model)),
    }


def _transfer(predictor: Predictor, pixels: ImagePipelineConfig, config: Any) -> dict[str, Any]:
    """Return what a frozen base and its head are made of."""
    if config.trained_from is not None:
        raise UsageError(
            f"eject writes runs whose base is frozen, and that of {predictor.path} was trained from "
            f"{config.trained_from} up",
            hint="Eject the run that it started from" if config.from_ else "",
        )
    model = predictor.model
    networks.freeze(model, None, norms=False)  # A saved model forgets it of layers without weights.
    parts = networks.cut(model)
    assert parts is not None, "the base is frozen"
    frozen = parts[0]
    choice = base_choice.choose(config.take(BaseConfig))
    names = Names()
    below, base = _around_base(model, frozen)
    maps = output_of(base[-1])
    lines = operations_source(model, below, names)
    last = names.of(output_of(below[-1]))
    names.call(maps, "maps")
    above = frozen.operations[len(below) + len(base) :]
    lines += [f"maps = base({last})", *operations_source(model, above, names)]
    features = names.of(frozen.outputs[0])
    head = [one for one in model.operations if one not in frozen.operations]
    shape = tuple(frozen.output_shape[1:])
    network = [f"{features} = keras.Input({shape!r}, dtype='float32')", *operations_source(model, head, names)]
    network.append(f"model = keras.Model({features}, {names.of(model.outputs[0])})")
    part = FrozenPart(frozen, pixels)
    precision = predictor.record.model["precision"]
    return {
        "template": "transfer.py.jinja",
        "title": f"A head on the frozen base {config.base}",
        # Of keras.applications' layers; the others say what they compute in.
        "policy": "" if precision == "float32" else f"mixed_{precision}",
        "base": _base_source(choice, config),
        "below": "\n".join(lines),
        "pixels": names.of(model.inputs[0]),
        "features": features,
        "together": part.batch_size,
        "layer_sources": "",
        "network": "\n".join(network),
    }


def _around_base(model: keras.Model, frozen: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return the operations that make pixels ready for the base, and those of the base itself."""
    operations = frozen.operations
    before = (*networks.BEFORE_BASE, "flip")
    start = next(n for n, one in enumerate(operations) if one.name.rstrip("_0123456789") not in before)
    end = next(n for n, one in enumerate(operations) if one.name == networks.FEATURES)
    return operations[:start], operations[start:end]


def _base_source(choice: Any, config: Any) -> str:
    """Return the lines that make the base."""
    size = tuple(side * config.upsample for side in config.image_size)
    if choice.model is not None:
        from dlcli.core import keras_files
        from dlcli.vision.own_models import without_head

        whole = keras_files.load(choice.model, stranger=choice.stranger)
        end = without_head(whole)
        lines = [f"base = keras.saving.load_model({str(choice.model.resolve())!r}, compile=False)"]
        layer = end.outputs[0]._keras_history.operation.name
        if layer != whole.outputs[0]._keras_history.operation.name:
            lines.append(f"base = keras.Model(base.input, base.get_layer({layer!r}).output)")
        if tuple(whole.input_shape[1:]) != (*size, 3):
            pixels = f"keras.Input({(*size, 3)})"
            lines.append(f"trained, base = base, keras.models.clone_model(base, input_tensors={pixels})")
            lines.append("base.set_weights(trained.get_weights())")
        return "\n".join(lines)
    assert choice.entry is not None
    weights = {"imagenet": "'imagenet'", "none": "None"}.get(config.weights, repr(str(config.weights)))
    settings = f"include_top=False, weights={weights}, input_shape={(*size, 3)}"
    call = f"keras.applications.{choice.entry.application}({settings})"
    seeded = "keras.utils.set_random_seed(SEED)\n" if config.weights == "none" else ""
    return f"{seeded}base = {call}"
