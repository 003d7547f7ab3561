"""Which models can be quantised in which way, as far as trials showed (docs/shipping.md has the table)."""

from __future__ import annotations

from dlcli.core.backend import keras
from dlcli.errors import UsageError
from dlcli.serving.formats.conversion import is_recurrent, layers_of
from dlcli.text.bag_models import NgramWeights
from dlcli.text.sequence_layers import LocalMaxPooling


def require_quantizable(model: keras.Model, *, format: str, quantize: str) -> None:
    """Raise a `UsageError` for a model of which a quantised file would not answer as the run.

    Args:
        model: of a run.
        format: `litert` or `onnx`.
        quantize: `none`, `dynamic`, `float16` or `int8`.
    """
    if reason := _reason(model, format, quantize):
        hint = "Take --quantize float16" + (", or dynamic with --format litert" if format == "litert" else "")
        raise UsageError(f"--quantize {quantize} does not go with --format {format} and {reason}", hint=hint)


def _reason(model: keras.Model, format: str, quantize: str) -> str:
    eight = quantize == "int8" or (quantize == "dynamic" and format == "onnx")
    if eight and any(isinstance(layer, LocalMaxPooling) for layer in layers_of(model)):
        return "a cnn-lstm: what stands for padding before a maximum, -1e30, takes all of an 8-bit range"
    if (format, quantize) != ("litert", "int8"):
        return ""
    if any(isinstance(layer, NgramWeights) for layer in layers_of(model)):
        return "an ngram model: of a short text's length, which its weights are divided by, 8 bits leave 0"
    if is_recurrent(model) and len(model.inputs[0].shape) == 4:
        # Measured with TensorFlow 2.21: a segmentation fault. Loops over the words of a text go.
        return "a recurrent model of pictures: TensorFlow's converter crashes on the ranges of its loop"
    return ""
