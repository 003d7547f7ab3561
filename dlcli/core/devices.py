"""Where a model computes, and what of the machine a run records."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dlcli.core.backend import keras, tf
from dlcli.errors import UsageError


def available() -> list[str]:
    """Return the devices that `--device` takes, such as `cpu` and `gpu:0`."""
    return ["cpu"] + [f"gpu:{number}" for number in range(len(tf.config.list_physical_devices("GPU")))]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and how a block computes, as `run.json` records it.

    Attributes:
        device: as `--device` names it.
        precision: `float32`, `bfloat16` or `float16`: what is computed with; weights are float32.
        jit: whether training steps are compiled with XLA.
    """

    device: str
    precision: str
    jit: bool


@dataclass(frozen=True, kw_only=True)
class Auto:
    """What `auto` turns on for a model: a rule on the model and the kind of device, never a timing.

    Attributes:
        bfloat16: kinds of device (`cpu`, `gpu`) on which it computes in bfloat16; of CPUs those with one of `features`.
        features: of processors, as `processor_features` names them.
        jit: kinds of device on which its steps are compiled with XLA.
    """

    bfloat16: tuple[str, ...] = ()
    features: tuple[str, ...] = ("amx_bf16",)
    jit: tuple[str, ...] = ()


@contextlib.contextmanager
def use(
    device: str, *, precision: str = "auto", jit: str = "auto", auto: Auto = Auto(), deterministic: bool = False
) -> Iterator[Placement]:
    """Place what the block computes, and the models that it builds.

    Args:
        device: `auto`, `cpu`, `gpu`, `gpu:N`, or several such as `gpu:0,1`, which share each batch
            (`MirroredStrategy`); `cpu:0,1` makes logical CPUs. A GPU's memory grows as it is needed.
        precision: `auto`, `float32`, `bfloat16`, or `float16` (GPUs only; the loss is scaled).
        jit: `auto`, `on` or `off`.
        auto: what `auto` turns on for the model (docs/training.md has the measurements).
        deterministic: whether an operation whose result varies is an error, or replaced by one whose does not; for the
            rest of this process.

    Yields:
        what was chosen.

    Raises:
        UsageError: there is no such device, or it cannot compute with that precision.
    """
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # Already in use in this process, so already set.
            tf.config.experimental.set_memory_growth(gpu, True)
    default = "gpu:0" if gpus else "cpu"
    chosen = {"auto": default, "gpu": "gpu:0"}.get(device, device)
    kind, _, numbers = chosen.partition(":")
    several = [f"{kind}:{number.strip()}" for number in numbers.split(",")] if "," in numbers else []
    if kind == "cpu" and several:
        _make_logical_cpus(several)
    elif unknown := [name for name in several or [chosen] if name not in available()]:
        raise UsageError(
            f"--device: there is no {unknown[0] if several else device!r}",
            hint=f"This machine has: {', '.join(available())}",
        )
    placement = Placement(
        device=chosen,
        precision=_precision(precision, kind, auto),
        jit=jit == "on" or (jit == "auto" and kind in auto.jit),
    )
    if several:
        place: Any = tf.distribute.MirroredStrategy([name.upper() for name in several]).scope()
    else:
        # TensorFlow takes the default by itself, and leaves to the CPU what no GPU can do, such as work on strings.
        place = contextlib.nullcontext() if chosen == default else tf.device(f"/{chosen}")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if placement.precision == "float32" else f"mixed_{placement.precision}")
    try:
        with place:
            yield placement
    finally:
        keras.config.set_dtype_policy(before)


def _precision(asked: str, kind: str, auto: Auto) -> str:
    if asked == "float16" and kind == "cpu":
        raise UsageError("--precision float16 is for GPUs: a CPU computes in float32 or bfloat16")
    if asked != "auto":
        return asked
    able = kind == "gpu" or not set(auto.features).isdisjoint(_features_in_use())
    return "bfloat16" if able and kind in auto.bfloat16 else "float32"


def _features_in_use() -> set[str]:
    """Return the processor's instruction sets, less those that oneDNN is told to leave alone (ONEDNN_MAX_CPU_ISA)."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    found = set(processor_features())
    if limit.startswith(("SSE", "AVX2", "AVX512_CORE")) and "AMX" not in limit:
        found.discard("amx_bf16")
    if limit.startswith(("SSE", "AVX2")) or limit in ("AVX512_CORE", "AVX512_CORE_VNNI"):
        found.discard("avx512_bf16")
    return found


def _make_logical_cpus(names: list[str]) -> None:
    """Split the CPU, as TensorFlow lets one do before it computes anything."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    if names != [f"cpu:{number}" for number in range(len(names))]:
        raise UsageError(f"--device: logical CPUs are numbered from 0, got {', '.join(names)}")
    with contextlib.suppress(RuntimeError):  # TensorFlow runs already; perhaps with as many.
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * len(names))
    if len(tf.config.list_logical_devices("CPU")) < len(names):
        raise UsageError("--device: this process computes already, its CPU cannot be split any more")


def describe() -> dict[str, Any]:
    """Return what decides whether a run can be repeated bit for bit: processor, threads, versions."""
    import numpy as np

    from dlcli import __version__

    return {
        "processor": {
            "machine": platform.machine(),
            "name": _processor_name(),
            "system": platform.system(),
            "features": processor_features(),
        },
        "threads": os.cpu_count(),
        "versions": {
            "dlcli": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def processor_features() -> list[str]:
    """Return which of the instruction sets that matter here the processor has, as Linux names them."""
    return [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in _cpuinfo("flags").split()]


def _processor_name() -> str:
    return _cpuinfo("model name") or platform.processor()


def _cpuinfo(field: str) -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            if line.startswith(field):
                return line.partition(":")[2].strip()
    return ""
