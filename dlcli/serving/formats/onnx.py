"""ONNX, by tf2onnx; quantised by onnxruntime's own tools."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.quiet import quiet_libraries
from dlcli.errors import ModelError
from dlcli.serving.card import Tensor
from dlcli.serving.formats.conversion import as_function, signature

_OPSET = 18


def write(
    model: keras.Model, path: Path, *, outputs: str, quantize: str, samples: Sequence[list[Any]]
) -> tuple[list[Tensor], str]:
    """Write an ONNX file that takes ids or pixels, any number of items at once; arguments are those of LiteRT's.

    Raises:
        ModelError: the converter gave up.
    """
    import onnx
    import tf2onnx

    specs = signature(model, batch=None)
    with _quiet():
        try:
            proto, _ = tf2onnx.convert.from_function(
                as_function(model, specs, outputs=outputs), input_signature=specs, opset=_OPSET
            )
            onnx.checker.check_model(proto)
            names = [spec.name for spec in specs]
            if quantize == "float16":
                proto = _float16(proto)
            onnx.save(proto, path)
            if quantize in ("dynamic", "int8"):
                _quantised(
                    path, [dict(zip(names, sample, strict=True)) for sample in samples], static=quantize == "int8"
                )
        except OSError:
            raise
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"the model {model.name} cannot be converted to ONNX ({reason})") from error
    tensors = [Tensor(name=s.name, dtype=s.dtype.name, shape=s.shape.as_list()) for s in specs]
    return tensors, proto.graph.output[0].name


def _float16(proto: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(proto, keep_io_types=True)


def _quantised(path: Path, samples: list[dict[str, Any]], *, static: bool) -> None:
    """Quantise a file in its place."""
    from onnxruntime import quantization

    floats = path.with_name("float32.onnx")
    path.rename(floats)
    kinds = {"weight_type": quantization.QuantType.QUInt8}
    try:
        if static:
            quantization.quantize_static(
                str(floats),
                str(path),
                _Samples(samples),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        else:
            quantization.quantize_dynamic(str(floats), str(path), **kinds)
    finally:
        floats.unlink()


class _Samples:
    """Inputs one after the other, as onnxruntime's calibration asks for them."""

    def __init__(self, samples: list[dict[str, Any]]) -> None:
        self._samples = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next inputs, None behind the last."""
        return next(self._samples, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the converters log away."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with quiet_libraries():
            yield
    finally:
        logging.disable(before)
