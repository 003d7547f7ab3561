"""The locks: everything pinned, everything vouched for, and no address of a package host."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT
from trust.supply import LOCK, bill_of_materials, pinned


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    lock = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in lock and "--index" not in lock
    found = pinned(lock)
    assert len(found) > 40
    assert all(package.hashes for package in found)


def test_a_package_without_a_version_is_found() -> None:
    with pytest.raises(AssertionError, match="not pinned: b>=1"):
        pinned("a==1 \\\n    --hash=sha256:" + "0" * 64 + "\nb>=1")


def test_the_bill_of_materials_lists_what_is_pinned() -> None:
    packages = pinned(LOCK.read_text(encoding="utf-8"))
    bill = json.loads(bill_of_materials(packages))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {(part["name"], part["version"]): part["hashes"] for part in bill["components"]}
    assert listed.keys() == {(package.name, package.version) for package in packages}
    tensorflow = next(package for package in packages if package.name == "tensorflow")
    hashes = {entry["content"] for entry in listed["tensorflow", tensorflow.version] if entry["alg"] == "SHA-256"}
    assert hashes == set(tensorflow.hashes)
