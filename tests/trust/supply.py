"""What dlcli is made of: each package is pinned by hashes, those installed are the pinned ones, and a list of them.

    python tests/trust/supply.py

Writes `dist/sbom.json`, a software bill of materials in CycloneDX' format, from `requirements/run.txt`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from packaging.markers import Marker
from trust.figures import ROOT, keep, options

LOCK = ROOT / "requirements" / "run.txt"
SBOM = ROOT / "dist" / "sbom.json"


@dataclass(frozen=True)
class Pinned:
    """A package of a lock; several versions of one are for several versions of Python.

    Attributes:
        name: of the package.
        version: that is pinned.
        marker: where it is installed; empty for everywhere.
        hashes: SHA-256 of its files.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def main() -> int:
    """Write the bill of materials; compare the lock with what is installed."""
    given = options(__doc__.splitlines()[0]).parse_args()
    packages = pinned(LOCK.read_text(encoding="utf-8"))
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(bill_of_materials(packages), encoding="utf-8")
    here = [package for package in packages if not package.marker or Marker(package.marker).evaluate()]
    other = [f"{package.name} {found}" for package in here if (found := _installed(package.name)) != package.version]
    vouched = sum(len(package.hashes) > 0 for package in packages)
    figures = (
        "| packages of `requirements/run.txt` | with SHA-256 | for this Python and machine | installed otherwise |\n"
        f"|---|---|---|---|\n| {len(packages)} | {vouched} | {len(here)} | {', '.join(other) or 'none'} |"
    )
    keep("supply", figures, seed=given.seed, write=given.write)
    return int(bool(other) or vouched < len(packages))


def pinned(lock: str) -> list[Pinned]:
    """Return the packages of a lock."""
    found = []
    for block in re.split(r"\n(?=\S)", lock.strip()):
        match = re.match(r"([a-z0-9-]+)(?:\[[^]]*\])?==([^ \\;\n]+)(?: ; ([^\\\n]*))?", block)
        assert match, f"not pinned: {block.splitlines()[0]}"
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block))
        found.append(Pinned(match[1], match[2], (match[3] or "").strip(), hashes))
    return found


def bill_of_materials(packages: list[Pinned]) -> str:
    """Return a list of packages in CycloneDX' format, as JSON."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    whole = Component(type=ComponentType.APPLICATION, name=project["name"], version=project["version"])
    parts = [
        Component(
            type=ComponentType.LIBRARY,
            name=package.name,
            version=package.version,
            purl=(address := PackageURL("pypi", None, package.name, package.version)),
            bom_ref=address.to_string(),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in package.hashes],
            properties=[Property(name="marker", value=package.marker)] if package.marker else [],
        )
        for package in packages
    ]
    bom = Bom(components=parts)
    bom.metadata.component = whole
    bom.register_dependency(whole, parts)
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    sys.exit(main())
