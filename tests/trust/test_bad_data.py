"""Every case of bad data is named as it should be, and docs/bad-data.md is what is printed."""

from __future__ import annotations

import pytest
from trust import bad_data
from trust.bad_cases import CASES, Case

PAGE = bad_data.PAGE.read_text(encoding="utf-8")


@pytest.mark.usefixtures("dlcli")
@pytest.mark.parametrize("case", CASES, ids=bad_data.key)
def test_it_is_one_line_and_leaves_nothing(case: Case) -> None:
    outcome = bad_data.run(case)
    assert not bad_data.problems(case, outcome), outcome.err
    assert bad_data.row(case, outcome) in PAGE, "docs/bad-data.md is not fresh: tests/trust/bad_data.py --write"


def test_the_page_has_no_other_cases() -> None:
    assert sum(line.startswith("| ") and "exit code" not in line for line in PAGE.splitlines()) == len(CASES)
    assert len({bad_data.key(case) for case in CASES}) == len(CASES)
