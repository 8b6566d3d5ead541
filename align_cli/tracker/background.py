"""Calls into a library that must neither stop nor delay the run."""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Call = Callable[[], object]


class Boundary:
    """Where another library's failures end: the first is kept, none passes.

    Not an `except` with a list of classes: the client raises bare children of Exception from
    modules that it does not publish, and a class missed in the list would stop a run.
    """

    failure: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(failure, Exception):
            return False
        self.failure = self.failure or failure
        return True


class Background:
    """Runs calls in order on a thread of its own; after the first failure only the last one."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Call, bool]] = queue.SimpleQueue()
        self._boundary = Boundary()
        # A daemon: a call that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> Exception | None:
        """What the first failed call raised."""
        return self._boundary.failure

    def submit(self, call: Call) -> None:
        """Have this called after everything submitted before it."""
        self._calls.put((call, False))

    def close(self, last: Call, timeout_seconds: float) -> bool:
        """Have this called as the last, failure or not, and wait; whether it is done in time."""
        self._calls.put((last, True))
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        is_last = False
        while not is_last:
            call, is_last = self._calls.get()
            if is_last or self.failure is None:
                with self._boundary:
                    call()
