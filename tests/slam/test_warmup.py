"""Kernels are compiled before the first frame, all of them and for the types that frames bring."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scenewright.slam
from scenewright.data.sequence import Frame
from scenewright.slam import warmup
from scenewright.slam.sources import SensorDepth
from scenewright.slam.surface import surface_of
from scenewright.slam.system import CnnSlam
from slam_room import CAMERA, BoxRoom, look


def signatures() -> dict[str, int]:
    """How many types each kernel of the SLAM is compiled for."""
    modules = [
        importlib.import_module(f"scenewright.slam.{m.name}") for m in pkgutil.iter_modules(scenewright.slam.__path__)
    ]
    return {
        f"{m.__name__}.{k}": len(v.signatures) for m in modules for k, v in vars(m).items() if hasattr(v, "py_func")
    }


def test_frames_bring_no_type_that_was_not_compiled_for() -> None:
    with warmup.Compilation() as compilation:
        compilation.finish()
    assert compilation.seconds > 0
    before = signatures()
    room = BoxRoom(0)
    shots = [room.render(look(1.6 + 0.025 * n, 1.3, 0.9, -8 + 0.6 * n, 2)) for n in range(16)]
    slam = CnnSlam(CAMERA, SensorDepth(lambda index: shots[index][1]))
    for n, (picture, _, _) in enumerate(shots):
        slam.push(Frame(n, n / 15, picture))
    surface_of(slam.finish().keyframes)
    grown = {name: count for name, count in signatures().items() if count != before[name]}
    assert not grown


def test_the_film_of_a_wall_is_tracked() -> None:
    pictures = warmup.wall(3)
    assert [p.shape for p in pictures] == [(*warmup.CAMERA.size, 3)] * 3
    np.testing.assert_array_equal(pictures[0][:, warmup._STEP_PX :], pictures[1][:, : -warmup._STEP_PX])
    keyframes = warmup.track_wall()
    moved = np.linalg.norm(keyframes[-1].T_world_cam[:3, 3] - keyframes[0].T_world_cam[:3, 3])
    assert len(keyframes) >= 2
    assert moved > 0.1


def test_compiled_kernels_need_no_second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warmup, "is_compiled", lambda: True)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("started one"))
    with warmup.Compilation() as compilation:
        assert compilation._other is None


def test_an_error_ends_the_second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(warmup, "is_compiled", lambda: False)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started)
    with pytest.raises(ValueError, match="bad input"), warmup.Compilation():
        raise ValueError("bad input")
    assert started.returncode is not None


def test_what_was_never_compiled_is_noticed(tmp_path: Path) -> None:
    code = "from scenewright.slam import warmup; print(warmup.is_compiled())"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    said = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert [line.strip() for line in said] == ["False", "True"]
