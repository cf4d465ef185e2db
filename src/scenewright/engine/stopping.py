"""Stopping a long job on request: the step in progress is finished first."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Stopper:
    """Turns SIGINT and SIGTERM into a request that the job polls; a second SIGINT stops it at once.

    `signum` is 0 until a signal arrives, then its number. Handlers exist while the context is entered, and only a
    process's main thread can set them; elsewhere nothing changes.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        self.take_over()
        return self

    def take_over(self) -> None:
        """Put the handlers in place, again where a library has replaced them."""
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                previous = signal.signal(signum, self._handle)
                self._before.setdefault(signum, previous)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.signum and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum

    def __exit__(self, *_: object) -> None:
        for signum, previous in self._before.items():
            signal.signal(signum, previous)
