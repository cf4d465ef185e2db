"""Benchmarks run: their fastest settings, in processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in BENCHMARKS.glob("bench_*.py")))
def test_help(name: str) -> None:
    assert f"usage: {name}" in run(name, "--help")


def test_up_projection_agrees_with_its_yardstick() -> None:
    out = run("bench_upprojection.py", "--preset", "small", "--repeats", "1", "--batch", "1")
    differences = [float(line.split()[-1]) for line in out.splitlines()[1:-1]]
    assert len(differences) == 4
    assert max(differences) < 1e-4
    assert re.search(r"^sum( +[\d.]+){5}$", out, re.MULTILINE)


def test_extraction_names_keypoints_and_bare_convolutions() -> None:
    out = run("bench_extraction.py", "--only", "magicpoint", "--repeats", "1", "--threads", "1", "--keypoints", "50")
    row = next(line.split() for line in out.splitlines() if line.startswith("magicpoint"))
    assert 0 < int(row[1]) <= 50
    network, bare, ratio = (float(v) for v in row[4:])
    assert bare > 0
    assert abs(network / bare - ratio) < 0.1 * ratio + 0.05
    assert "sift" in out
