"""The reverts of `reverts.py` still fit the code, and what they say of it can fail."""

from __future__ import annotations

import ast

import pytest
from conftest import ROOT
from trust.reverts import REVERTS, without


@pytest.mark.parametrize("what", REVERTS)
def test_the_protection_stands_once_in_the_code(what: str) -> None:
    revert = REVERTS[what]
    source = (ROOT / "dlcli" / revert.file).read_text(encoding="utf-8")
    reverted = without(revert, source)
    assert reverted != source
    if revert.file.endswith(".py"):
        ast.parse(reverted)
    assert all((ROOT / "tests" / test).exists() for test in revert.tests.partition(" -k ")[0].split())


def test_a_protection_that_has_moved_is_told() -> None:
    with pytest.raises(AssertionError, match=r"core/files\.py does not have once: "):
        without(REVERTS["Files are written beside their place, and renamed"], "nothing")
