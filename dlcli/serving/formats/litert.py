"""LiteRT (formerly TensorFlow Lite): for phones, small machines and browsers. Built-in operations alone, no Flex."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlcli.core.backend import keras, tf
from dlcli.core.quiet import quiet_libraries
from dlcli.errors import ModelError
from dlcli.serving.card import Tensor
from dlcli.serving.formats.conversion import as_function, is_recurrent, signature


def write(
    model: keras.Model, path: Path, *, outputs: str, quantize: str, samples: Sequence[list[Any]]
) -> tuple[list[Tensor], str]:
    """Write a LiteRT file that takes ids or pixels.

    A recurrent model takes one item at a time: its loop over the words becomes the built-in one only then.

    Args:
        model: computes in float32.
        path: of the file.
        outputs: the name of the outputs.
        quantize: `none`; `dynamic`, weights of 8 bits; `float16`, weights of 16 bits; `int8`, weights and activations
            of 8 bits.
        samples: inputs of training items, one each: for `int8` what ranges activations have.

    Returns:
        the inputs, in the order of the model's, and the name of the output.

    Raises:
        ModelError: the converter gave up.
    """
    specs = signature(model, batch=1 if is_recurrent(model) else None)
    function = as_function(model, specs, outputs=outputs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)
    if quantize != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.representative_dataset = lambda: iter(samples)
    with quiet_libraries(), warnings.catch_warnings(action="ignore"):
        try:
            content = converter.convert()
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"the model {model.name} cannot be converted to LiteRT ({reason})") from error
    path.write_bytes(content)
    return _tensors(content, specs)


def _tensors(content: bytes, specs: Sequence[Any]) -> tuple[list[Tensor], str]:
    """Return what a file takes and gives, by the names that it has for them."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet_libraries():
        interpreter = Interpreter(model_content=content)
    names = [given["name"] for given in interpreter.get_input_details()]
    tensors = []
    for spec in specs:
        (name,) = [name for name in names if name.removesuffix(":0").removeprefix("serving_default_") == spec.name]
        tensors.append(Tensor(name=name, dtype=spec.dtype.name, shape=spec.shape.as_list()))
    return tensors, interpreter.get_output_details()[0]["name"]
