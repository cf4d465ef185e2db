"""A run killed while it stores its state leaves nothing that the next start does not clear away."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
from torch import nn

from scenewright.engine import resume


def test_a_kill_while_storing_leaves_no_strange_file(tmp_path: Path) -> None:
    method, generator = nn.Linear(1500, 1500), np.random.default_rng(0)
    resume.write(tmp_path, {"run": 1}, resume.Position(step=1), method)
    for _ in range(8):
        child = os.fork()
        if child == 0:  # this child's only way out is the kill
            while True:
                resume.write(tmp_path, {"run": 1}, resume.Position(step=2), method)
        time.sleep(generator.uniform(0.02, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        state = resume.read(tmp_path, {"run": 1})
        assert state is not None
        assert state.position.step in (1, 2)
    names = {path.name for path in tmp_path.iterdir()} - {resume.FILE}
    assert all(name.startswith(".resume.") for name in names)
