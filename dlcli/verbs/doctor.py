"""`dlcli doctor`: what this machine offers, and what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from pathlib import Path

from dlcli import __version__
from dlcli.core.config import Config
from dlcli.core.progress import Progress
from dlcli.resources import resource
from dlcli.verbs import Action
from dlcli.verbs.shared.result import Result, facts

_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "pydantic", "click", "rich", "filelock")


class DoctorConfig(Config):
    """A check-up has no settings."""


class DoctorResult(Result):
    """Versions, devices, and problems with their remedies."""

    dlcli: str
    python: str
    platform: str
    packages: dict[str, str | None]
    devices: list[str]
    processor: str
    threads: int
    precision: str
    free_disk_gb: float
    problems: list[str]

    def text(self) -> str:
        """Return the result as lines of names and values."""
        rows = [
            ("dlcli", self.dlcli),
            ("Python", f"{self.python} on {self.platform}"),
            *((name, version or "missing") for name, version in self.packages.items()),
            ("processor", f"{self.processor}, {self.threads} threads"),
            ("devices", ", ".join(self.devices)),
            ("precision", self.precision),
            ("free disk", f"{self.free_disk_gb:.0f} GB here"),
        ]
        return facts(rows) + "\n\n" + ("\n".join(self.problems) if self.problems else "Nothing is missing.")


def doctor(config: DoctorConfig, progress: Progress) -> DoctorResult:
    """Look at the packages, the devices and the data that ships with dlcli."""
    packages = {name: _version(name) for name in _PACKAGES}
    problems = [f"{name} is missing: pip install {name}" for name, version in packages.items() if version is None]
    problems += [
        f"{folder}/ is missing from the installation: pip install --force-reinstall dlcli"
        for folder in ("pipelines", "pretrained", "sample_data")
        if not resource(folder).is_dir()
    ]
    devices, processor, threads = ["none: TensorFlow is missing"], platform.processor(), 0
    if packages["tensorflow"] is not None:
        progress.begin("looking for devices")
        from dlcli.core.devices import available, describe

        machine = describe()
        devices, processor, threads = available(), machine["processor"]["name"], machine["threads"]
        if platform.system() == "Linux" and devices == ["cpu"] and Path("/dev/nvidia0").exists():
            problems.append("an NVIDIA GPU is there, and TensorFlow cannot use it: pip install 'dlcli[gpu]'")
    return DoctorResult(
        dlcli=__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages=packages,
        devices=devices,
        processor=processor,
        threads=threads,
        precision="float32",
        free_disk_gb=round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        problems=problems,
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


ACTION = Action(config=DoctorConfig, function=doctor, examples=("dlcli doctor",))
