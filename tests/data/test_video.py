"""Video files: upright, counted, streamed, damaged, and decoders that misbehave."""

from __future__ import annotations

import logging
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from scenewright.data import video as video_module
from scenewright.data.video import Video, is_video
from scenewright.errors import FormatError

ONE = 1 << 16


def _rotated(path: Path, source: Path, degrees: int, width: int, height: int) -> Path:
    """The film with another display matrix in its track header (ISO 14496-12, 8.3.2)."""
    matrices = {
        0: (ONE, 0, 0, 0, ONE, 0, 0, 0),
        90: (0, ONE, 0, -ONE, 0, 0, height * ONE, 0),
        180: (-ONE, 0, 0, 0, -ONE, 0, width * ONE, height * ONE),
        270: (0, -ONE, 0, ONE, 0, 0, 0, width * ONE),
    }
    data = bytearray(source.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", *matrices[degrees], 1 << 30)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(("degrees", "corner"), [(0, (0, 0)), (90, (0, 1)), (180, (1, 1)), (270, (1, 0))])
def test_rotation_flag_is_applied(tmp_path, make, degrees, corner):
    source = make.video(tmp_path / "film.mp4", 3)
    video = Video(_rotated(tmp_path / "turned.mp4", source, degrees, 64, 48))
    assert (video.width, video.height) == ((64, 48) if degrees % 180 == 0 else (48, 64))
    image = list(video.frames())[1].image
    assert image.shape == (video.height, video.width, 3)
    row, column = (4 if c == 0 else -4 for c in corner)
    assert image[row, column].tolist() == pytest.approx([255, 0, 0], abs=40)  # red marks the stored upper left
    assert image[-row, -column].max() < 60


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v"), ("a.mov", "mp4v")]
)
def test_frames_times_and_count(tmp_path, make, name, codec):
    video = Video(make.video(tmp_path / name, 12, codec))
    frames = list(video.frames())
    assert [f.index for f in frames] == list(range(12))
    assert [f.time_s for f in frames] == pytest.approx([i / 20 for i in range(12)], abs=0.002)
    assert [int(f.image[-4, -4].mean()) for f in frames] == pytest.approx([10 * i for i in range(12)], abs=4)
    assert video.count() == 12
    assert video.count(5) == 5
    assert [f.index for f in video.frames(3, 4)] == [3, 7, 11]
    assert list(video.frames(50, 1)) == []


def test_an_abandoned_stream_leaves_no_process(tmp_path, make, monkeypatch):
    started = []
    popen = video_module.subprocess.Popen
    monkeypatch.setattr(video_module.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    stream = Video(make.video(tmp_path / "a.mp4", 30)).frames()
    next(stream)
    stream.close()
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_a_truncated_film_yields_what_is_there(tmp_path, make, caplog):
    path = make.video(tmp_path / "a.avi", 40, "MJPG", 160, 120)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = Video(path)
    with caplog.at_level(logging.WARNING):
        frames = list(video.frames())
    assert 5 < len(frames) < 35
    assert video.count() == len(frames)


def test_damage_in_the_middle_does_not_end_the_program(tmp_path, make):
    path = make.video(tmp_path / "a.mp4", 40, width=160, height=120)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    for seed in range(3):
        rng = np.random.default_rng(seed)
        hurt = bytearray(data)
        for place in rng.integers(start + 200, data.index(b"moov") - 4, 60):
            hurt[place] = rng.integers(256)
        path.write_bytes(bytes(hurt))
        assert 1 <= len(list(Video(path).frames())) <= 40


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.8])
def test_films_without_a_usable_frame(tmp_path, make, share):
    path = make.video(tmp_path / "film.mp4", 12)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FormatError, match=r"film\.mp4"):
        Video(path)


@pytest.mark.parametrize(
    "head", [b"\0\0\0\x18ftypmp42" + b"\0" * 64, b"\x1a\x45\xdf\xa3" + b"\xff" * 64, b"RIFF\xff\xff\xff\xffAVI LIST"]
)
def test_films_that_are_only_a_header(tmp_path, head):
    (tmp_path / "film.bin").write_bytes(head)
    with pytest.raises(FormatError, match=r"film\.bin"):
        Video(tmp_path / "film.bin")


def test_frames_above_the_cap_are_refused(tmp_path, make):
    path = make.video(tmp_path / "wide.avi", 2, "MJPG", 8256, 16)
    with pytest.raises(FormatError, match=r"wide\.avi: found frames of 8256x16"):
        Video(path)


@pytest.mark.parametrize(
    "head", [b"", b"#EXTM3U\n", b"ffconcat version 1.0\n", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypheic"]
)
def test_what_does_not_begin_like_a_video(tmp_path, head):
    (tmp_path / "a.mp4").write_bytes(head)
    assert not is_video(tmp_path / "a.mp4")
    with pytest.raises(FormatError, match=r"a\.mp4"):
        Video(tmp_path / "a.mp4")


# ---- a decoder that misbehaves --------------------------------------------------------------------------------------


def _decoder(monkeypatch, tmp_path: Path, body: str) -> None:
    """Replace the child process by a program that writes `body`'s records."""
    script = tmp_path / "decoder.py"
    script.write_text(
        "import os, sys, time\nfrom scenewright.data.decoder import *\nout = sys.stdout.buffer\n"
        "def frame(i, w=4, h=2):\n    out.write(HEAD.pack(FRAME, i, i / 30, w, h) + bytes(w * h * 3)); out.flush()\n"
        + body
    )
    popen = video_module.subprocess.Popen
    monkeypatch.setattr(
        video_module.subprocess, "Popen", lambda command, **k: popen([sys.executable, str(script)], **k)
    )


def test_a_decoder_that_hangs_is_ended(tmp_path, make, monkeypatch):
    path = make.video(tmp_path / "film.mp4", 2)
    _decoder(monkeypatch, tmp_path, "frame(0)\ntime.sleep(600)\n")
    with pytest.raises(FormatError, match="more than 2 s"):
        list(Video(path, timeout_s=2).frames())


def test_a_decoder_that_crashes_keeps_the_frames_before(tmp_path, make, monkeypatch, caplog):
    path = make.video(tmp_path / "film.mp4", 2)
    _decoder(monkeypatch, tmp_path, "out.write(HEAD.pack(START, 9, 0, 0, 0))\nframe(0)\nframe(1)\nos.abort()\n")
    with caplog.at_level(logging.WARNING):
        assert len(list(Video(path).frames())) == 2
    assert "crashed after 2 frames" in caplog.text


def test_a_film_that_changes_its_size_is_refused(tmp_path, make, monkeypatch):
    path = make.video(tmp_path / "film.mp4", 2)
    _decoder(monkeypatch, tmp_path, "frame(0)\nframe(1, 6, 2)\n")
    with pytest.raises(FormatError, match="frame 1 of 6x2"):
        list(Video(path).frames())


def test_a_header_that_promises_too_much_is_reported(tmp_path, make, monkeypatch, caplog):
    path = make.video(tmp_path / "film.mp4", 2)
    body = "out.write(HEAD.pack(START, 900, 0, 0, 0))\nframe(0)\nout.write(HEAD.pack(END, 1, 0, 0, 0)); out.flush()\n"
    _decoder(monkeypatch, tmp_path, body)
    with caplog.at_level(logging.WARNING):
        assert Video(path).count() == 1
    assert "1 of the 900 frames" in caplog.text
