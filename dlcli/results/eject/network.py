"""A functional Keras model as the lines that build it."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.known_layers import KNOWN, OURS
from dlcli.errors import ModelError
from dlcli.results.eject.plain import is_plain, plain_lines
from dlcli.results.eject.source import source_of

# Arguments that say nothing about what a layer computes.
_SILENT = ("name", "trainable", "dtype", "batch_shape", "sparse", "ragged", "optional", "module", "registered_name")
# Operations that are written as operators.
_OPERATORS = {"Add": "+", "Subtract": "-", "Multiply": "*", "TrueDivide": "/"}
# What a scale is, where it is known by a fraction.
_FRACTIONS = {1 / 255: "1 / 255", 1 / 127.5: "1 / 127.5"}
# Arguments of calls that say what Keras does anyway.
_USUAL_CALL = {"training": "False"}


def network_source(model: keras.Model, *, given: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines that build a model with the same first weights.

    Args:
        model: functional; each layer is used once.
        given: the source of arguments that are in no layer's settings, such as arrays, by `layer.argument`.

    Returns:
        a line an operation; the last assigns `model`. They need the names `keras`, `initializers`, `layers`, `ops`, and
        the classes of `layer_sources`.
    """
    names = Names()
    lines = operations_source(model, model.operations, names, given=given)
    inputs = [names.of(tensor) for tensor in model.inputs]
    one = inputs[0] if len(inputs) == 1 else f"[{', '.join(inputs)}]"
    return [*lines, f"model = keras.Model({one}, {names.of(model.outputs[0])})"]


def operations_source(
    model: keras.Model, operations: Iterable[Any], names: Names, *, given: Mapping[str, str] | None = None
) -> list[str]:
    """Return the lines of some of a model's operations; see `network_source`."""
    fixed = _fixed(model)
    lines = []
    for one in operations:
        name = ", ".join(names.of(tensor) for tensor in one._inbound_nodes[0].output_tensors)
        plain = plain_lines(one, [names.of(tensor) for tensor in inputs_of(one)], name, given or {})
        lines += plain or [f"{name} = {_call(one, names, given or {}, fixed)}"]
    return lines


def output_of(operation: Any) -> Any:
    """Return the tensor that an operation makes where it was first used."""
    return operation._inbound_nodes[0].output_tensors[0]


def layer_sources(model: keras.Model) -> list[str]:
    """Return the source of each layer and function of dlcli's own that a model is made of."""
    found = []
    for layer in model.layers:
        function = getattr(layer, "activation", None)
        if function is not None and _is_own(function):
            found.append(source_of(function))
    for kind, values in _fixed(model).items():
        if all(is_plain(layer) for layer in _of(model, kind)):
            continue
        # The layers of a class share their penalty: it is a setting of the whole model.
        l1, l2 = (getattr(_of(model, kind)[0], name, 0) for name in ("l1", "l2"))
        penalty = f"keras.regularizers.L1L2({l1}, {l2})" if l1 or l2 else "None"
        calls: dict[str, str | None] = {"_lowest": "-1e+30", "penalty": penalty}
        if values.get("activation") == "linear":
            calls["self.activation"] = None
        settings = {f"self.{name}": value for name, value in values.items()}
        found.append(source_of(kind, values=settings, calls=calls))
    return list(dict.fromkeys(found))


def _is_own(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("dlcli.")


def _of(model: keras.Model, kind: type) -> list[Any]:
    return [layer for layer in model.layers if type(layer) is kind]


def _fixed(model: keras.Model) -> dict[type, dict[str, Any]]:
    """Return dlcli's own classes of layers, with the settings that are written into the class and not into its calls.

    Those are: all of a class with one layer; else those that all its layers share and that choose a way.
    """
    found: dict[type, dict[str, Any]] = {}
    for kind in dict.fromkeys(type(layer) for layer in model.layers if _is_own(type(layer))):
        layers = _of(model, kind)
        configs = [{name: _simple(value) for name, value in layer.get_config().items()} for layer in layers]
        own = list(vars(kind)["__init__"].__code__.co_varnames) if "__init__" in vars(kind) else []
        found[kind] = {
            name: value
            for name, value in configs[0].items()
            if name in own
            and all(config[name] == value for config in configs)
            and (
                value is None
                or isinstance(value, (bool, str))
                or value == 0
                or (len(layers) == 1 and _is_number(value))
            )
            and (not callable(getattr(layers[0], name, None)) or value in ("linear", "zeros"))
        }
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _simple(value: Any) -> Any:
    """Return a setting, and what Keras knows by a name alone as that name."""
    if isinstance(value, dict) and "class_name" in value and not value.get("config"):
        return _snake(value["class_name"])
    return value


def inputs_of(operation: Any) -> list[Any]:
    """Return the tensors that an operation takes where it was first used."""
    return list(operation._inbound_nodes[0].input_tensors) if operation._inbound_nodes else []


class Names:
    """A variable for each tensor, called as the layer that makes it."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def call(self, tensor: Any, name: str) -> None:
        """Give a tensor another name."""
        self._names[id(tensor)] = name

    def of(self, tensor: Any) -> str:
        """Return the name of a tensor's variable."""
        if id(tensor) not in self._names:
            operation = tensor._keras_history.operation
            name = re.sub(r"\W", "_", operation.name)
            if keyword.iskeyword(name) or name in ("keras", "layers", "ops", "model", "np", "tf") or name[0].isdigit():
                name += "_"
            while name in self._names.values():
                name += "_"
            self._names[id(tensor)] = name
        return self._names[id(tensor)]


def _call(operation: Any, names: Names, given: Mapping[str, str], fixed: Mapping[type, Mapping[str, Any]]) -> str:
    """Return the expression that makes an operation's output."""
    if isinstance(operation, keras.layers.InputLayer):
        return f"keras.Input({tuple(operation.batch_shape[1:])!r}, dtype={operation.dtype!r})"
    arguments = operation._inbound_nodes[0].arguments
    passed = [_argument(one, names) for one in arguments.args]
    named = {key: _argument(one, names) for key, one in arguments.kwargs.items() if one is not None}
    named = {key: one for key, one in named.items() if _USUAL_CALL.get(key) != one}
    kind = type(operation).__name__
    if isinstance(operation, keras.Layer):
        inner = ", ".join(passed + [f"{_keyword(key)}={one}" for key, one in named.items()])
        return f"{_class_name(operation)}({', '.join(_settings(operation, given, fixed))})({inner})"
    if kind in _OPERATORS and len(passed) == 2:
        return f"{passed[0]} {_OPERATORS[kind]} {passed[1]}"
    function = f"ops.{re.sub(r'(?<!^)(?=[A-Z])', '_', kind).lower()}"
    settings = [f"{_keyword(key)}={_value(one)}" for key, one in operation.get_config().items() if key not in _SILENT]
    return f"{function}({', '.join([*passed, *(f'{_keyword(key)}={one}' for key, one in named.items()), *settings])})"


def _argument(one: Any, names: Names) -> str:
    if isinstance(one, keras.KerasTensor):
        return names.of(one)
    if isinstance(one, (list, tuple)):
        return f"[{', '.join(_argument(part, names) for part in one)}]"
    return _value(one)


def _class_name(layer: Any) -> str:
    return type(layer).__name__ if _is_own(type(layer)) else f"layers.{type(layer).__name__}"


def _settings(layer: Any, given: Mapping[str, str], fixed: Mapping[type, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a layer's arguments: those left out that are its class' defaults, or written into it."""
    defaults, config = _defaults(type(layer)), layer.get_config()
    required = True
    for name in [*(name for name in defaults if name in config), *(config.keys() - defaults.keys())]:
        value, default = config[name], defaults.get(name, inspect.Parameter.empty)
        required = required and default is inspect.Parameter.empty and name in defaults
        if name in _SILENT or name in fixed.get(type(layer), ()) or _is_usual(name, value, default, config):
            continue
        yield _value(value) if required else f"{_keyword(name)}={_value(value)}"
    for key, source in given.items():
        layer_name, _, argument = key.partition(".")
        if layer_name == layer.name:
            yield f"{argument}={source}"
    if (policy := _policy(config.get("dtype"))) not in ("None", keras.config.dtype_policy().name):
        yield f"dtype={policy!r}"
    if layer.weights and not config.get("trainable", True):
        yield "trainable=False"


def _is_usual(name: str, value: Any, default: Any, config: Mapping[str, Any]) -> bool:
    """Say whether a setting is what Keras takes anyway."""
    if name == "data_format":
        return bool(value == "channels_last")
    if name == "strides" and "pool_size" in config:
        return bool(value == config["pool_size"])
    return default is not inspect.Parameter.empty and _same(default, value)


def _defaults(kind: type) -> dict[str, Any]:
    """Return the arguments of a class with their defaults, those of its bases among them."""
    found: dict[str, Any] = {}
    for one in kind.__mro__:
        if "__init__" in vars(one) and one is not object:
            for parameter in inspect.signature(vars(one)["__init__"]).parameters.values():
                found.setdefault(parameter.name, parameter.default)
    return found


def _same(default: Any, value: Any) -> bool:
    """Say whether a setting is the default, which may be a name: `relu`, `glorot_uniform`."""
    if isinstance(value, dict) and "class_name" in value:
        if isinstance(value.get("config"), str):
            return False
        inner = {key: one for key, one in value.get("config", {}).items() if one is not None}
        return isinstance(default, str) and not inner and _snake(value["class_name"]) == default
    if isinstance(value, (list, tuple)) and isinstance(default, (list, tuple, int)):
        return list(value) == (list(default) if not isinstance(default, int) else [default] * len(value))
    return bool(default == value) or (default is None and value == "linear")


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _policy(value: Any) -> str:
    return str(value["config"]["name"]) if isinstance(value, dict) else str(value)


def _keyword(name: str) -> str:
    """Return the name of an argument; a config can be forged, and what is written here is run."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise _odd(name)
    return name


def _odd(name: str) -> ModelError:
    return ModelError(f"the model has a setting that no layer has: {name!r}", hint="Train it anew")


def _value(value: Any) -> str:
    """Return the source of a setting."""
    if isinstance(value, dict) and "class_name" in value:
        config = value.get("config", {})
        if not str(value.get("module") or "").startswith("keras"):
            # A registered function or class: `dlcli>penalized_tanh`.
            name = str(config if isinstance(config, str) else value["class_name"]).rpartition(">")[2]
            if name not in OURS:
                raise _odd(name)
            return name
        if value["class_name"] not in KNOWN.get(value["module"], ()) or not isinstance(config, dict):
            raise _odd(value["class_name"])
        settings = ", ".join(
            f"{_keyword(key)}={_value(one)}"
            for key, one in config.items()
            if one is not None and key not in ("name", "dtype")
        )
        return f"{value['module'].removeprefix('keras.')}.{value['class_name']}({settings})"
    if isinstance(value, (list, tuple)):
        parts = [_value(one) for one in value]
        if len(set(parts)) == 1 and all(type(one) is int for one in value):
            return parts[0]
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
    return _FRACTIONS.get(value, repr(value)) if isinstance(value, float) else repr(value)
