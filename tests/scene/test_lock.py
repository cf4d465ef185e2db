from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scenewright.errors import InputError
from scenewright.scene.lock import LOCK_NAME, FolderLock

HOLD = "import sys, time; from pathlib import Path; from scenewright.scene.lock import FolderLock;" + (
    "FolderLock(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
)


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    with FolderLock(tmp_path) as lock:
        assert lock.held
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"
        with pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
            FolderLock(tmp_path).acquire()
    assert not (tmp_path / LOCK_NAME).exists()
    with FolderLock(tmp_path):
        pass


def test_lock_of_a_dead_process_is_stale(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"process {process.pid}"):
        FolderLock(tmp_path).acquire()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / LOCK_NAME).exists()  # nothing could tidy up
    with FolderLock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_a_reused_process_id_fakes_no_owner(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text(f"{os.getppid()}  \nleft by a killed run whose id lives again")
    with FolderLock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep")
    (tmp_path / LOCK_NAME).symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        FolderLock(tmp_path).acquire()
    assert target.read_text() == "keep"


def test_release_twice_is_harmless(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()
    lock.release()
    assert not lock.held
