"""Work on chunks of items, on threads: TensorFlow, OpenCV and Pillow leave the interpreter free meanwhile."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, TypeVar

_Work = TypeVar("_Work")
_Done = TypeVar("_Done")


def chunks(items: Iterable[_Work], size: int) -> Iterator[list[_Work]]:
    """Cut items into lists of `size`; the last may be shorter."""
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


def parallel(
    work: Callable[[_Work], _Done], items: Iterable[_Work], *, threads: int | None = None, stop: Event | None = None
) -> Iterator[_Done]:
    """Run `work` on each item and yield what it returns, in the order of the items, a few of them ahead.

    Args:
        work: is called on threads.
        items: taken as they are needed.
        threads: without it, as many as there are processors, eight at most.
        stop: is set when no more is asked for, as after Ctrl-C, so that work that has begun can end early.
    """
    count = threads or min(8, os.cpu_count() or 1)
    waiting: deque[Any] = deque()
    pool = ThreadPoolExecutor(count)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # After Ctrl-C only what has begun is waited for.
        if stop is not None:
            stop.set()
        pool.shutdown(cancel_futures=True)
