"""Optimizers by name: Keras' own, with what the core adds to each.

Added are: gradients of embedding tables whose rows are summed first (Keras' optimizers square the parts of a row's
gradient one by one, which is another algorithm), the gradient's norm, factors on the learning rate of single layers,
weight decay that spares biases, and averages of the weights that are taken when they are asked for.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dlcli.core.backend import keras, tf
from dlcli.core.training_config import OptimizerConfig, TrainingConfig, require_layer_names

KERAS_OPTIMIZERS: dict[str, Any] = {
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
    "adam": keras.optimizers.Adam,
    # Weight decay is the core's, so that AdamW is Adam with it.
    "adamw": keras.optimizers.Adam,
    "adamax": keras.optimizers.Adamax,
    "nadam": keras.optimizers.Nadam,
    "lion": keras.optimizers.Lion,
}
OWN_SETTINGS = ("momentum", "nesterov", "rho", "beta_1", "beta_2", "epsilon", "amsgrad")


def make_optimizer(config: TrainingConfig, model: keras.Model, *, waits: Mapping[str, int] | None = None) -> Any:
    """Return a new optimizer, built for a model.

    Args:
        config: resolved settings; those of `OptimizerConfig` count.
        model: whose trainable variables it shall change.
        waits: layers that are not trained in the first epochs, by name, with the number of those.

    Returns:
        a Keras optimizer that also has `gradient_norm`, `reset_gradient_norm()`, `begin_epoch()` and `averaged()`.

    Raises:
        UsageError: `layer_lr` names a layer that the model does not have.
    """
    factors = layer_factors(config, model)
    settings = {name: getattr(config, name) for name in OWN_SETTINGS}
    # A beta of 0 is a setting, though Python holds it equal to False.
    given = {name: value for name, value in settings.items() if value is not None and value is not False}
    optimizer = _class(config.optimizer)(
        learning_rate=config.lr,
        global_clipnorm=config.clip_norm,
        clipvalue=config.clip_value,
        gradient_accumulation_steps=config.accumulate if config.accumulate > 1 else None,
        use_ema=config.ema is not None,
        **({"ema_momentum": config.ema} if config.ema is not None else {}),
        **given,
    )
    layer_of = _layer_names(model)
    waiting = [(waits or {}).get(layer_of.get(id(variable), ""), 0) for variable in model.trainable_variables]
    optimizer.begin(factors, decay=config.weight_decay or 0.0, waits=waiting)
    if model.dtype_policy.name == "mixed_float16":
        optimizer = _Scaled(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def layer_factors(config: OptimizerConfig, model: keras.Model) -> list[float]:
    """Return the factor on the learning rate of each trainable variable.

    Raises:
        UsageError: `layer_lr` names a layer that the model does not have.
    """
    asked = config.layer_factors()
    layer_of = _layer_names(model)
    require_layer_names(asked, sorted(set(layer_of.values())))
    return [asked.get(layer_of.get(id(variable), ""), 1.0) for variable in model.trainable_variables]


def _layer_names(model: keras.Model) -> dict[int, str]:
    return {id(variable): layer.name for layer in model.layers for variable in layer.trainable_variables}


@functools.cache
def _class(name: str) -> Any:
    """Return a Keras optimizer's class with the core's additions."""
    return type(f"Core{KERAS_OPTIMIZERS[name].__name__}", (_Additions, KERAS_OPTIMIZERS[name]), {})


class _Additions:
    """What the core adds to a Keras optimizer; stands before it in the order of inheritance."""

    def begin(self: Any, factors: list[float], *, decay: float, waits: list[int]) -> None:
        """Set what the constructor of a Keras optimizer does not take; called before `build`."""
        self._factors = factors
        self._decay = decay
        self._waits = waits
        # The epoch, counted from 0, while there is one that some weights wait for.
        self._epoch = keras.Variable(0, dtype="int32", trainable=False, name="epoch") if any(waits) else None
        # Biases and the scales of normalisations keep their size (Loshchilov & Hutter 2019 do the same in practice).
        self.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        # The sum of the gradients' norms over the steps of an epoch, and their number.
        self._norm = keras.Variable(
            np.zeros(2, np.float32), trainable=False, name="gradient_norm", aggregation="only_first_replica"
        )

    @property
    def gradient_norm(self: Any) -> float:
        """The mean global norm of the gradients since the last reset, before clipping."""
        total, steps = self._norm.numpy()
        return float(total / steps) if steps else 0.0

    def reset_gradient_norm(self: Any) -> None:
        """Start a new mean."""
        self._norm.assign(np.zeros(2, np.float32))

    def begin_epoch(self: Any, epoch: int) -> None:
        """Let the weights move that have waited long enough."""
        if self._epoch is not None:
            self._epoch.assign(epoch)

    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        """Sum the rows of sparse gradients and the replicas' gradients, note the norm, then go on as Keras does."""
        grads = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in grads]
        found = [gradient for gradient in grads if gradient is not None]
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            summed = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, found))
            grads = [None if gradient is None else next(summed) for gradient in grads]
            found = [gradient for gradient in grads if gradient is not None]
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32))) for gradient in found]))
        self._norm.assign_add(tf.stack([norm, tf.ones_like(norm)]))
        super().apply(grads, trainable_variables)  # type: ignore[misc]

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        """Do nothing: `apply` has done it, before the gradients were clipped."""
        return grads_and_vars

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay the weight, then step, both with the layer's own learning rate."""
        place = self._get_variable_index(variable)
        factor, waits = self._factors[place], self._waits[place]
        if factor == 0:
            return
        rate = tf.cast(learning_rate, variable.dtype) * factor
        if waits:
            rate = tf.where(self._epoch.value < waits, tf.zeros_like(rate), rate)
        if self._decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (self._decay * rate))
        super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def _update_model_variables_moving_average(self: Any, trainable_variables: Any) -> None:
        """Move the averages when the weights have moved, where Keras does so at each batch that a step accumulates.

        They begin as the weights after the first step.
        """
        taken = (self._iterations + 1) % (self.gradient_accumulation_steps or 1) == 0
        kept = tf.where(self.iterations == 0, 0.0, tf.where(taken, self.ema_momentum, 1.0))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            average.assign(kept * average + (1 - kept) * variable)

    def finalize_variable_values(self, var_list: Any) -> None:
        """Do nothing, though `fit` asks at its end: `averaged` puts averages in their place."""

    def use_averages(self: Any) -> None:
        """Put the averages of the weights in their place, if there are any."""
        if self.use_ema:
            self._overwrite_model_variables_with_average_value(self._trainable_variables)

    @contextlib.contextmanager
    def averaged(self: Any) -> Iterator[None]:
        """Put the averages of the weights in their place for the block, if there are any."""
        kept = [variable.numpy() for variable in self._trainable_variables] if self.use_ema else []
        self.use_averages()
        try:
            yield
        finally:
            for variable, value in zip(self._trainable_variables, kept, strict=False):
                variable.assign(value)


class _Scaled(keras.optimizers.LossScaleOptimizer):  # type: ignore[misc]
    """The same for float16: the loss is scaled, so that small gradients do not vanish (Micikevicius et al. 2018)."""

    @property
    def gradient_norm(self) -> float:
        """As the inner optimizer has it, of gradients that are scaled back."""
        return float(self.inner_optimizer.gradient_norm)

    def reset_gradient_norm(self) -> None:
        """Start a new mean."""
        self.inner_optimizer.reset_gradient_norm()

    def begin_epoch(self, epoch: int) -> None:
        """Let the weights move that have waited long enough."""
        self.inner_optimizer.begin_epoch(epoch)

    def use_averages(self) -> None:
        """Put the averages of the weights in their place, if there are any."""
        self.inner_optimizer.use_averages()

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Put the averages of the weights in their place for the block, if there are any."""
        block: contextlib.AbstractContextManager[None] = self.inner_optimizer.averaged()
        return block
