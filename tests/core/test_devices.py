"""Devices by name, and what of the machine a run records."""

from __future__ import annotations

import os
import platform

import pytest

from dlcli import __version__
from dlcli.core import devices
from dlcli.core.backend import tf
from dlcli.errors import UsageError

GPUS = len(tf.config.list_physical_devices("GPU"))


def test_available_names_what_device_takes() -> None:
    assert devices.available() == ["cpu"] + [f"gpu:{number}" for number in range(GPUS)]


def test_the_cpu_is_used_when_asked_for() -> None:
    with devices.use("cpu") as chosen:
        assert (chosen.device, chosen.precision, chosen.jit) == ("cpu", "float32", False)
        assert "CPU:0" in (tf.constant(1.0) + 1).device


def test_auto_takes_the_first_gpu_or_else_the_cpu() -> None:
    with devices.use("auto") as chosen:
        assert chosen.device == ("gpu:0" if GPUS else "cpu")
        assert ("GPU:0" if GPUS else "CPU:0") in (tf.constant(1.0) + 1).device


@pytest.mark.parametrize("device", ["gpu:99", "tpu", "", "CPU:0"] + ([] if GPUS else ["gpu"]))
def test_a_device_that_is_not_there_is_an_error(device: str) -> None:
    with pytest.raises(UsageError) as caught, devices.use(device):
        pass
    assert caught.value.message == f"--device: there is no {device!r}"
    assert caught.value.hint == f"This machine has: {', '.join(devices.available())}"


def test_the_record_names_all_that_a_repetition_needs() -> None:
    machine = devices.describe()
    assert machine["threads"] == os.cpu_count()
    assert machine["processor"]["machine"] == platform.machine()
    assert machine["processor"]["name"]
    versions = machine["versions"]
    assert (versions["dlcli"], versions["tensorflow"]) == (__version__, tf.__version__)
    assert versions.keys() == {"dlcli", "python", "tensorflow", "keras", "numpy"}
