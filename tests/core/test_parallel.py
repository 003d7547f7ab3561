"""Work on threads: in the items' order, and what has not begun when it ends early is never done."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dlcli.core.parallel import parallel


def test_what_is_returned_comes_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.01 * (item % 3))
        return -item

    assert list(parallel(work, range(20), threads=4)) == [-item for item in range(20)]


def test_after_a_failure_only_what_has_begun_is_waited_for() -> None:
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.05)
        if item == 0:
            raise KeyboardInterrupt
        return item

    with pytest.raises(KeyboardInterrupt):
        list(parallel(work, range(100), threads=2))
    assert len(begun) < 5


def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    done = parallel(lambda item: item, items(), threads=2)
    assert next(done) == 0
    assert len(taken) == 5
