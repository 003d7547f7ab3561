"""What a step takes, on networks that can be added up by hand."""

from __future__ import annotations

import pytest

from dlcli.core.backend import keras
from dlcli.core.memory import available_memory
from dlcli.core.step_memory import step_memory


def test_outputs_of_layers_with_weights_are_the_least() -> None:
    given = keras.Input((10,))
    hidden = keras.layers.Dense(100)(given)
    active = keras.layers.Activation("relu")(hidden)
    step = step_memory(keras.Model(given, keras.layers.Dense(2)(active)), longest=1)
    assert step.least == 4 * (100 + 2)
    assert step.likely == 4 * 2 * (10 + 100 + 100 + 2)
    assert step.fixed == 4 * 4 * (10 * 100 + 100 + 100 * 2 + 2)
    assert step.at_least(8) == step.fixed + 8 * step.least
    assert step.fitting(step.at_most(100), below=512) == 64
    assert step.fitting(step.at_most(100), below=32) == 16
    assert step.fitting(step.fixed, below=512) == 0


def test_a_recurrent_layer_keeps_a_state_for_each_word() -> None:
    def likely(longest: int) -> int:
        words = keras.Input((None,))
        read = keras.layers.GRU(16)(keras.layers.Embedding(50, 8)(words))
        return step_memory(keras.Model(words, read), longest=longest).likely

    assert likely(20) - likely(10) == 4 * 10 * (2 * (1 + 8) + 16 * 10)


def test_limits_of_the_process_count(monkeypatch: pytest.MonkeyPatch) -> None:
    free = available_memory()
    if free is None:
        pytest.skip("no table of the memory")
    import resource

    monkeypatch.setattr("dlcli.core.memory._of_groups", lambda: [(10**9, 9 * 10**8), (None, 1)])
    assert available_memory() == 10**8
    monkeypatch.setattr("dlcli.core.memory._of_groups", list)
    limits = {resource.RLIMIT_DATA: 2**40, resource.RLIMIT_AS: 1}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], -1))
    assert available_memory() == 0
