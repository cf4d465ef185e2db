"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # tests import `tolerances` and the worlds they share by plain name

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")  # a run of the suite is a function of the code alone

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """A function that finds a real data set by name, and skips the test with a reason where it is absent.

    Sets are looked for in the folder named by SCENEWRIGHT_DATA, else in a folder `shared/data` beside the checkout.
    """
    folder = Path(os.environ.get("SCENEWRIGHT_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"real data set {name!r} is not in {folder}")
        return path

    return find
