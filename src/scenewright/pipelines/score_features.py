"""Measuring features by a protocol: learned methods and classical ones on the same items, stored results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scenewright.data.readers import KINDS, open_reader, reader_fingerprint
from scenewright.data.rgbd_pairs import RgbdPairs
from scenewright.engine.scoreboard import measured, read_all, store
from scenewright.engine.weights import digest, load
from scenewright.errors import InputError
from scenewright.features import evaluate as ev
from scenewright.features.baselines import Corners, Sift
from scenewright.features.data import Pictures, joined, room_pictures
from scenewright.features.extract import CLASSICAL, extractor
from scenewright.features.protocols import PROTOCOLS, SEED
from scenewright.features.real_sets import open_real_sets, real_figures
from scenewright.features.task import Detector, HomographySample
from scenewright.features.turned_pairs import turned_pairs
from scenewright.worlds.wide import SAME_DEPTH, WideFrames

Figures = dict[str, float]
Done = frozenset[str]
"""Baselines whose figures are stored already."""
HELD_OUT_PHOTOS = ("camera", "coins", "moon", "page", "rocket")
"""Photographs that scikit-image carries and that no method was trained on."""


@dataclass(frozen=True)
class Rows:
    """Figures by row, and what they were measured on."""

    figures: dict[str, Figures]
    items: int
    sha256: str


def score_features(
    protocol: str, names: list[str], source: str | None = None, results: Path | None = None
) -> dict[str, Figures]:
    """Measure methods and what they must beat.

    Args:
        protocol: one of `scenewright.features.protocols.PROTOCOLS`.
        names: methods with shipped weights, folders of weights, or features by name where a protocol matches images;
            LABEL=NAME gives a row a name of its own (an ablation's, say).
        source: a folder of rooms (patches, photo-homographies, turned-photographs) or of wide-rooms (room-pairs-pck), a
            sequence with depth and poses (sequence-pck), a folder of the sets of `features.real_sets` (real-pairs), or
            a data set by its path, KIND:PATH or reader:PATH (phototour, hpatches).
        results: root folder to store results under; baselines that lie there under the same protocol are kept.

    Raises:
        InputError: no such protocol, a missing source, a method that cannot do what is asked.
    """
    if protocol not in PROTOCOLS:
        raise InputError("--protocol", repr(protocol), f"one of {', '.join(PROTOCOLS)}")
    labels = {name.rpartition("=")[2]: name.rpartition("=")[0] for name in names}
    rows = _MEASURES[protocol](list(labels), source, _stored_baselines(protocol, results))
    if results is not None:
        for name, figures in rows.figures.items():
            _store(protocol, name, labels.get(name, ""), figures, rows, results)
    return {labels.get(name) or name: figures for name, figures in rows.figures.items()}


def _stored_baselines(protocol: str, root: Path | None) -> frozenset[str]:
    """Rows that need not be measured again: they are functions of the protocol alone."""
    folder = (root or Path()) / "features" / protocol
    stored = read_all(folder) if root is not None else []
    return frozenset(r.method for r in stored if r.baseline and r.protocol_hash == PROTOCOLS[protocol].hash)


def _store(protocol: str, name: str, label: str, figures: Figures, rows: Rows, root: Path) -> None:
    """Store a row under its label, else its method's name, else its own: "magicpoint+sift" as "magicpoint-sift"."""
    known = {part: _weights(part) for part in name.split("+")}
    hashes = [w[1] for w in known.values() if w]
    joint = "".join(hashes) if len(hashes) < 2 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    row = measured(
        PROTOCOLS[protocol], label or "-".join(w[0] if w else part for part, w in known.items()), figures,
        weights_sha256=joint, seed=SEED, data={"items": rows.items, "sha256": rows.sha256}, baseline=not hashes,
    )  # fmt: skip
    store(row, root)


def _weights(name: str) -> tuple[str, str] | None:
    """Name and hash of a learned method; None of a classical one."""
    try:
        return load(name).card.name, digest(name)
    except InputError:
        return None


def held_out(rooms: str | None) -> Pictures:
    """Photographs nobody trained on, and rooms of the test split where a folder of them is given."""
    import skimage.data

    images = [np.asarray(getattr(skimage.data, name)()) for name in HELD_OUT_PHOTOS]
    colour = [image if image.ndim == 3 else np.repeat(image[..., None], 3, 2) for image in images]
    photos = Pictures(len(colour), colour.__getitem__, "photographs " + ", ".join(HELD_OUT_PHOTOS))
    return photos if rooms is None else joined([photos, room_pictures(rooms, "test")])


def _hash(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _need(source: str | None, what: str) -> str:
    if source is None:
        raise InputError("--data", "nothing", what)
    return source


def _patches(names: list[str], source: str | None, done: Done) -> Rows:
    pairs = ev.patch_pairs(held_out(_need(source, "a folder of rooms with a test split")), 3000, SEED)
    return Rows(_patch_rows(names, [pairs], done), len(pairs.same), _hash(pairs.first, pairs.second, pairs.same))


def _phototour(names: list[str], source: str | None, done: Done) -> Rows:
    reader = _reader(source, "phototour")
    return Rows(_patch_rows(names, ev.patch_blocks(reader), done), len(reader), reader_fingerprint(reader))


def _patch_rows(names: list[str], blocks: Iterable[Any], done: Done) -> dict[str, Figures]:
    """Methods, and classical ways of comparing patches, each at its best size."""
    variants = {f"raw-patches {side}": ev.raw_patches(side) for side in (64, 32, 16, 8)}
    for side in (64, 32, 16):
        variants |= {f"sift {side} {root}": ev.sift_patches(side, root) for root in (False, True)}
    variants = {name: score for name, score in variants.items() if name.split()[0] not in done}
    table = ev.patch_table(blocks, {name: _patch_score(load(name)) for name in names} | variants)
    rows = {name: table[name] for name in names}
    for kind in {name.split()[0]: None for name in variants}:
        rows[kind] = min((table[v] for v in variants if v.startswith(kind)), key=lambda f: f["FPR95"])
    return rows


def _reader(source: str | None, kind: str) -> Any:
    """The data set of a kind, by its path, KIND:PATH or reader:PATH."""
    given = _need(source, KINDS[kind].title)
    found, reader = open_reader(given if ":" in given else f"{kind}:{given}")
    if found != kind:
        raise InputError(given, KINDS[found].title, KINDS[kind].title)
    return reader


def _patch_score(method: Any) -> ev.PairScore:
    """How a method compares 64x64 patches."""
    name = method.card.name
    if name == "matchnet":  # as it matches: the mean over both orders
        return lambda a, b: np.concatenate(
            [_log_odds(method, x, y) + _log_odds(method, y, x) for x, y in zip(a.split(256), b.split(256))]
        )
    describe: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "lift": lambda p: method.describe_patches(p),
        "keypoint_pyramid": lambda p: method.embed(torch.nn.functional.avg_pool2d(p, 2)),
    }
    if name not in describe:
        raise InputError("method", repr(name), "one that describes patches: matchnet, lift, keypoint_pyramid")
    method.eval()
    return ev.learned_patches(describe[name])


def _log_odds(method: Any, first: torch.Tensor, second: torch.Tensor) -> Any:
    return method.predict(first, second).double().logit(1e-9).numpy()


def _shapes(names: list[str], source: str | None, done: Done) -> Rows:
    count = 360
    detectors: dict[str, Any] = {name: load(name) for name in names}
    classical = {kind: Corners(kind) for kind in ("harris", "shi-tomasi", "fast")} | {"sift": Sift()}
    detectors |= _without(done, classical)
    for name, detector in detectors.items():
        if not isinstance(detector, Detector):
            raise InputError("method", repr(name), "one that detects keypoints")
    rows = {name: ev.shape_figures(d, count, SEED) for name, d in detectors.items()}
    return Rows(rows, 2 * count, _hash([SEED, count]))


def _point_sets(names: list[str], source: str | None, done: Done) -> Rows:
    count = 300
    warps: dict[str, ev.Warp] = {name: _warp_of(load(name)) for name in names}
    warps |= _without(done, {"identity": lambda a, b: np.eye(3), "ransac": ev.nearest_ransac})
    return Rows({name: ev.warp_figures(w, count, SEED) for name, w in warps.items()}, count, _hash([SEED, count]))


def _warp_of(method: Any) -> ev.Warp:
    if method.card.name != "magicwarp":
        raise InputError("method", repr(method.card.name), "magicwarp")
    return lambda a, b: np.asarray(method.predict(a, b)[0].double())


def _photo_homographies(names: list[str], source: str | None, done: Done) -> Rows:
    pairs = ev.homography_pairs(held_out(_need(source, "a folder of rooms with a test split")), 60, SEED)
    return _on_planes(names, pairs, done)


def _turned(names: list[str], source: str | None, done: Done) -> Rows:
    return _on_planes(
        names, turned_pairs(held_out(_need(source, "a folder of rooms with a test split")), 60, SEED), done
    )


def _on_planes(names: list[str], pairs: list[HomographySample], done: Done) -> Rows:
    rows = {name: ev.homography_figures(extractor(name), pairs) for name in _with_classical(names, done)}
    return Rows(rows, len(pairs), _hash(*(x for p in pairs for x in (p.first, p.second, p.H_second_first))))


def _hpatches(names: list[str], source: str | None, done: Done) -> Rows:
    reader = _reader(source, "homographies")
    rows = {}
    for name in _with_classical(names, done):
        samples = (ev.resized_plane(reader[k], 640) for k in range(len(reader)))
        rows[name] = ev.homography_figures(extractor(name), samples, 1000, (1, 3, 5))
    return Rows(rows, len(reader), reader_fingerprint(reader))


def _with_classical(names: list[str], done: Done) -> list[str]:
    return [*names, *(n for n in ("sift", "orb", "harris", "fast") if n not in names and n not in done)]


def _without(done: Done, rows: dict[str, Any]) -> dict[str, Any]:
    return {name: row for name, row in rows.items() if name not in done}


def _sequence_pck(names: list[str], source: str | None, done: Done) -> Rows:
    reader = RgbdPairs(_need(source, "a sequence with depth and poses"))
    pairs = ev.place_pairs(reader, 30, SEED, 0.05)
    if not pairs:
        raise InputError(str(source), "no two frames that see the same places", "a sequence with depth and poses")
    return _pck(names, pairs, done)


def _room_pairs_pck(names: list[str], source: str | None, done: Done) -> Rows:
    frames = WideFrames(_need(source, "a folder of wide-rooms with a test split"), "test")
    pairs = ev.place_pairs(frames, 200, SEED, SAME_DEPTH)
    if not pairs:
        raise InputError(str(source), "no two views that see the same places", "pairs of 48 pixels a side or more")
    return _pck(names, pairs, done)


def _pck(names: list[str], pairs: list[ev.PlacePair], done: Done) -> Rows:
    """Dense describers, upright SIFT and raw patches over the same grid, and the answer that nothing moved."""
    dense: dict[str, ev.Dense] = {}
    for name in names:
        part = extractor(name).describer
        dense[name] = ev.dense_neighbours(part.describe)
    classical = {name: ev.dense_neighbours(CLASSICAL[name]().describe) for name in ("sift", "patches")}
    dense |= _without(done, classical | {"same-place": lambda a, b, xy: xy})
    rows = ev.pck_figures(dense, pairs)
    return Rows(rows, len(pairs), _hash(*(x for pair in pairs for x in pair)))


_REAL_ROWS = ("sift", "orb", "harris+brief", "fast+brief", "sift+patches")


def _real_pairs(names: list[str], source: str | None, done: Done) -> Rows:
    sets = open_real_sets(_need(source, "a folder of real sets"))
    wanted = [*names, *(n for n in _REAL_ROWS if n not in names and n.replace("+", "-") not in done)]
    rows = {name: real_figures(extractor(name), sets) for name in wanted}
    items = 1 + sum(len(posed.pairs) for posed in sets.views.values())
    return Rows(rows, items, _hash(*sets.pictures()))


_MEASURES: dict[str, Callable[[list[str], str | None, Done], Rows]] = {
    "patches": _patches,
    "phototour": _phototour,
    "shapes": _shapes,
    "point-sets": _point_sets,
    "photo-homographies": _photo_homographies,
    "turned-photographs": _turned,
    "hpatches": _hpatches,
    "sequence-pck": _sequence_pck,
    "room-pairs-pck": _room_pairs_pck,
    "real-pairs": _real_pairs,
}
