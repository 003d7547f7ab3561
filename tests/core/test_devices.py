"""Devices by name, and what of the machine a run records."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, call

from dlcli import __version__
from dlcli.core import devices
from dlcli.core.backend import keras, tf
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


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cpu:1,0", "--device: logical CPUs are numbered from 0, got cpu:1, cpu:0"),
        ("cpu:0,0", "--device: logical CPUs are numbered from 0, got cpu:0, cpu:0"),
        ("cpu:0", "--device: there is no 'cpu:0'"),
        ("gpu:98,99", "--device: there is no 'gpu:98'"),
        ("tpu:0,1", "--device: there is no 'tpu:0'"),
    ],
)
def test_several_devices_that_are_not_there(device: str, message: str) -> None:
    with pytest.raises(UsageError) as caught, devices.use(device):
        pass
    assert caught.value.message == message


def test_a_cpu_that_computes_already_cannot_be_split() -> None:
    with pytest.raises(UsageError, match="cannot be split any more"), devices.use("cpu:0,1,2,3"):
        pass


def test_float16_is_for_gpus() -> None:
    with pytest.raises(UsageError, match="--precision float16 is for GPUs"), devices.use("cpu", precision="float16"):
        pass


@pytest.mark.parametrize(("precision", "policy"), [("float32", "float32"), ("bfloat16", "mixed_bfloat16")])
def test_the_precision_holds_for_the_block(precision: str, policy: str) -> None:
    before = keras.config.dtype_policy().name
    with pytest.raises(KeyError), devices.use("cpu", precision=precision) as chosen:
        assert (chosen.precision, keras.config.dtype_policy().name) == (precision, policy)
        raise KeyError
    assert keras.config.dtype_policy().name == before


# What several devices learn.

COMMON = ("--epochs", "2", "--patience", "0", "--val-split", "0.2", "--class-weight", "neg=1,pos=1.5")
# 48 items to train on: 7 leaves unequal parts, and 47 a batch of one item, of which the second device has nothing.
CASES = {
    "uneven, clipped, averaged": (
        *("--batch-size", "7", "--lr", "0.02", "--clip-norm", "0.05", "--ema", "0.9"),
        *("--optimizer", "adamw", "--weight-decay", "0.1"),
    ),
    "one left over, penalties, hinge": (
        *("--batch-size", "47", "--lr", "0.02", "--loss", "squared_hinge", "--l2", "0.001"),
    ),
}
# Runs commands in one process, in which CPUs can still be split, and prints their exit codes; a run that is called
# `stopped` is stopped after its first epoch. Commands of one process have models of the same shapes: TensorFlow mixes
# up the collective operations of several strategies, of which a real command has one.
SCRIPT = """
import json, os, sys
from dlcli.cli import guarded
from dlcli.console import Console
real, codes = Console.epoch, []
def stop(*_):
    raise KeyboardInterrupt
for command in json.loads(sys.argv[1]):
    Console.epoch = stop if "--out" in command and "stopped" in command[command.index("--out") + 1] else real
    codes.append(guarded(["train-text", *command, "-q"], debug=True))
sys.stderr.flush()
print(json.dumps(codes), flush=True)
os._exit(0)
"""


def run_all(*commands: list[str]) -> list[int]:
    """Run commands in one new process; return their exit codes."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    codes: list[int] = json.loads(done.stdout.splitlines()[-1])
    assert set(codes) <= {0, 130}, done.stderr[-3000:]
    return codes


def history(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def test_two_devices_learn_as_one_does(tmp_path: Path) -> None:
    """The same batches give the same loss curve, within rounding; what is stopped goes on."""
    words = ["good", "bad", "fine", "poor", "long", "short", "new", "old"]
    random = np.random.default_rng(0)
    rows = [(" ".join(random.choice(words, 3 + n % 7)), "pos" if random.random() < 0.6 else "neg") for n in range(60)]
    data = tmp_path / "a.csv"
    data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    cases = [[*COMMON, *flags] for flags in CASES.values()]
    new = [
        [str(data), "--device", "cpu:0,1", "--out", str(tmp_path / str(number)), *flags]
        for number, flags in enumerate(cases)
    ]
    stopped = [str(data), "--device", "cpu:0,1", "--out", str(tmp_path / "stopped"), *cases[0]]
    assert run_all(*new, stopped, ["--resume", str(tmp_path / "stopped")]) == [0, 0, 130, 0]
    for number, flags in enumerate(cases):
        one, two = tmp_path / f"one-{number}", tmp_path / str(number)
        assert call("train-text", data, "--device", "cpu", "--out", one, *flags).code == 0
        record = json.loads((two / "run.json").read_text())
        assert (record["device"], record["data"]["training"]) == ("cpu:0,1", 48)
        for left, right in zip(history(two), history(one), strict=True):
            for name in ("loss", "val_loss", "gradient_norm", "weight_norm", "accuracy"):
                assert left[name] == pytest.approx(right[name], rel=1e-5, abs=1e-7), (flags, name)
        losses = [epoch["loss"] for epoch in history(two)]
        assert losses[-1] < losses[0] * 0.999
    times = ("seconds", "step_ms")
    whole, resumed = (
        [{name: value for name, value in epoch.items() if name not in times} for epoch in history(tmp_path / run)]
        for run in ("0", "stopped")
    )
    assert resumed == whole


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("", "bfloat16"),
        ("AVX512_CORE_AMX", "bfloat16"),
        ("AVX512_CORE_BF16", "bfloat16"),
        ("AVX512_CORE", "float32"),
        ("avx2", "float32"),
    ],
)
def test_auto_knows_what_the_processor_may_do(monkeypatch: pytest.MonkeyPatch, limit: str, expected: str) -> None:
    from dlcli.core import devices

    monkeypatch.setattr(devices, "processor_features", lambda: ["avx2", "avx512f", "avx512_bf16", "amx_bf16"])
    if limit:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    rule = devices.Auto(bfloat16=("cpu",), features=("amx_bf16", "avx512_bf16"))
    with devices.use("cpu", auto=rule) as placement:
        assert placement.precision == expected


@pytest.mark.parametrize("wanted", [True, False])
def test_deterministic_operations_are_asked_for(monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    """They hold for the rest of a process, so here TensorFlow is only asked; `repeat.py` trains with them."""
    asked: list[bool] = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    with devices.use("cpu", deterministic=wanted):
        assert asked == [True] * wanted
