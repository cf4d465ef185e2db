"""One writer per Scene folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from scenewright.errors import InputError

LOCK_NAME = ".lock"


class FolderLock:
    """A lock file that holds the writer's process id.

    The operating system's advisory lock on that file decides: it ends with the process however it dies, so the file of
    a killed run is stale by itself, and a process id that was given out again cannot fake a living owner. The id in
    the file is for the message to whoever finds the folder taken.

    Raises:
        InputError: from `acquire`, when another process (or another lock of this one) holds the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._handle is not None

    def acquire(self) -> None:
        """Take the lock at once or raise; a stale file is taken over."""
        while self._handle is None:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
                os.close(handle)
                raise InputError(
                    self.path.parent, f"a folder in use by process {owner}", "a folder that no other run is writing"
                ) from None
            if self._is_current(handle):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
                self._handle = handle
            else:  # its last owner removed this file between our open and our lock
                os.close(handle)

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
