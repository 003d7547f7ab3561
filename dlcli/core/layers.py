"""Dense layers as `LayerConfig` wants them: activations, initialisers and penalties by name."""

from __future__ import annotations

import inspect
from typing import Any

from dlcli.core.backend import keras
from dlcli.core.training_config import LayerConfig
from dlcli.errors import UsageError, nearest

ops = keras.ops

HEAD = "classes"
"""Name of the last layer."""

ACTIVATIONS = (
    *("elu", "hard_sigmoid", "leaky_relu", "linear", "penalized_tanh", "relu", "relu6", "selu", "sigmoid"),
    *("softmax", "softplus", "softsign", "swish", "tanh"),
)
INITIALIZERS = {
    "constant": keras.initializers.Constant,
    "glorot_normal": keras.initializers.GlorotNormal,
    "glorot_uniform": keras.initializers.GlorotUniform,
    "he_normal": keras.initializers.HeNormal,
    "he_uniform": keras.initializers.HeUniform,
    "identity": keras.initializers.Identity,
    "lecun_normal": keras.initializers.LecunNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "ones": keras.initializers.Ones,
    "orthogonal": keras.initializers.Orthogonal,
    "random_normal": keras.initializers.RandomNormal,
    "random_uniform": keras.initializers.RandomUniform,
    "truncated_normal": keras.initializers.TruncatedNormal,
    "variance_scaling": keras.initializers.VarianceScaling,
    "zeros": keras.initializers.Zeros,
}


@keras.saving.register_keras_serializable(package="dlcli")  # type: ignore[untyped-decorator]
def penalized_tanh(x: Any) -> Any:
    """Return tanh(x) for x > 0 and tanh(x) / 4 else (Xu et al. 2016, "Revise Saturated Activation Functions")."""
    y = ops.tanh(x)
    return ops.where(y > 0, y, 0.25 * y)


def activation(name: str) -> Any:
    """Return an activation by name, as Keras defines it (`leaky_relu` with slope 0.2, `swish` with beta 1).

    Raises:
        UsageError: there is none of that name.
    """
    if name not in ACTIVATIONS:
        raise UsageError(f"--activation: there is no activation {name!r}", hint=nearest(name, ACTIVATIONS))
    return penalized_tanh if name == "penalized_tanh" else keras.activations.get(name)


def initializer(text: str, *, seed: int) -> Any:
    """Return an initialiser by name and parameters.

    Args:
        text: `he_normal`, or `random_uniform:minval=-0.1,maxval=0.1`.
        seed: of its draws.

    Raises:
        UsageError: a name or a parameter that does not exist, or what is no number.
    """
    name, _, rest = text.partition(":")
    if name not in INITIALIZERS:
        raise UsageError(f"--initializer: there is no initializer {name!r}", hint=nearest(name, INITIALIZERS))
    kind = INITIALIZERS[name]
    known = [
        parameter for parameter in inspect.signature(kind.__init__).parameters if parameter not in ("self", "kwargs")
    ]
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key not in known or key == "seed":
            names = [parameter for parameter in known if parameter != "seed"]
            raise UsageError(f"--initializer: {name} has no parameter {key!r}", hint=nearest(key, names))
        try:
            settings[key] = value if key in ("mode", "distribution") else float(value)
        except ValueError:
            raise UsageError(f"--initializer: expected a number for {key}, got {value!r}") from None
    try:
        return kind(**settings, **({"seed": seed} if "seed" in known else {}))
    except (ValueError, TypeError) as error:
        raise UsageError(f"--initializer: {text!r}: {str(error).splitlines()[0]}") from None


def penalty(l1: float, l2: float) -> Any:
    """Return a regulariser, or None when nothing is penalised."""
    return keras.regularizers.L1L2(l1=l1, l2=l2) if l1 or l2 else None


def hidden(inputs: Any, units: tuple[int, ...], config: LayerConfig, *, seed: int) -> Any:
    """Put dense layers on top of a tensor, each behind its dropout; without units only the head's dropout.

    Args:
        inputs: (batch, features).
        units: the sizes of the layers.
        config: what they are made of.
        seed: of first weights and dropout; each layer has one of its own.

    Returns:
        (batch, units of the last layer), ready for the head.
    """
    outputs = inputs
    for number, size in enumerate(units, start=1):
        outputs = dropout(outputs, config, seed=seed + 100 * number)
        outputs = keras.layers.Dense(
            size,
            activation=activation(config.activation or "relu"),
            kernel_initializer=initializer(config.initializer or "glorot_uniform", seed=seed + 100 * number + 1),
            kernel_regularizer=penalty(config.l1, config.l2),
            bias_regularizer=penalty(config.bias_l1, config.bias_l2),
            activity_regularizer=penalty(config.activity_l1, config.activity_l2),
            name=f"hidden_{number}",
        )(outputs)
    return dropout(outputs, config, seed=seed + 99)


def head(inputs: Any, classes: int, config: LayerConfig, *, activation: str, seed: int) -> Any:
    """Put the last layer on top: a number a class, in float32 whatever the rest computes with.

    Args:
        inputs: (batch, features).
        classes: the number of classes.
        config: what the layer is made of.
        activation: `softmax`, or `linear` for scores.
        seed: of its first weights.

    Returns:
        float32 (batch, classes).
    """
    return keras.layers.Dense(
        classes,
        activation=activation,
        kernel_initializer=initializer(config.initializer or "glorot_uniform", seed=seed + 98),
        kernel_regularizer=penalty(config.l1, config.l2),
        bias_regularizer=penalty(config.bias_l1, config.bias_l2),
        dtype="float32",
        name=HEAD,
    )(inputs)


def dropout(inputs: Any, config: LayerConfig, *, seed: int) -> Any:
    """Leave units out at a training step, where the config wants it."""
    return keras.layers.Dropout(config.dropout, seed=seed)(inputs) if config.dropout else inputs
