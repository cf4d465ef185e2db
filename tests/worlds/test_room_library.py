"""Furniture libraries: true size and orientation of a hand-made one, splits, and what damaged files say."""

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from scenewright.errors import FormatError, InputError
from scenewright.labels import LABELS
from scenewright.worlds.library import CATALOGUE, DEBIAN_FOLDER, Library, read_catalogue
from scenewright.worlds.roles import ROLES, label_of
from scenewright.worlds.rooms import SPLITS, build_room

WEDGE = """mtllib wedge.mtl
v 0 0 0
v 2 0 0
v 2 0 4
v 0 0 4
v 0 1 0
v 2 1 0
vt 0 0
vt 1 0
vt 1 1
usemtl front
f 1/1 2/2 3/3 4/1
usemtl back
f -2/1 -1/2 2/3 1/1
f 5 4 3 6
f 1 4 5
f 2 6 3
"""  # high at z = 0 (the back), falling to the front at z = 4
MTL = "newmtl front\nKd 1 0 0\nmap_Kd paint.png\nnewmtl back\nKd 0 0 1\nd 1\n"
ROW = {
    "name": "Armchair", "category": "Living room", "model": "/m/wedge.obj", "width": "80", "depth": "90",
    "height": "70", "dropOnTopElevation": "40", "creator": "Someone", "movable": "true", "doorOrWindow": "false",
}  # fmt: skip


def picture() -> bytes:
    return bytes(cv2.imencode(".png", np.full((4, 4, 3), (0, 128, 255), np.uint8))[1])


def make(folder: Path, row: dict[str, str] | None = None, **files: bytes) -> Path:
    """A library of one model; `files` replace its members (dots written as double underscores)."""
    path = folder / "tiny.sh3f"
    text = "name=Tiny\nlicense=Free Art \\u00a9 2020\n" + "".join(f"{k}#1={v}\n" for k, v in (row or ROW).items())
    members = {CATALOGUE: text.encode("latin-1"), "m/wedge.obj": WEDGE.encode(), "m/wedge.mtl": MTL.encode()}
    members["m/paint.png"] = picture()
    members.update({k.replace("__", ".").replace("_S_", "/"): v for k, v in files.items()})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_model_has_its_true_size_and_stands_the_right_way(tmp_path: Path) -> None:
    library = Library([make(tmp_path)])
    (entry,) = library.entries
    part = library.part(entry, "armchair")
    assert part is not None
    v = part.mesh.vertices
    np.testing.assert_allclose(v.min(0), [-0.4, -0.45, 0], atol=1e-6)
    np.testing.assert_allclose(v.max(0), [0.4, 0.45, 0.7], atol=1e-6)
    assert v[v[:, 2] > 0.69][:, 1].min() > 0.44  # its high back is towards +y, the wall
    assert LABELS[part.label] == "chair"
    assert part.source == "Armchair by Someone, tiny, Free Art"
    assert len(part.mesh.faces) == 2 + 2 + 2 + 1 + 1
    textures = [m.texture is not None for m in part.mesh.materials]
    assert sorted(textures) == [False, True]
    assert library.part(entry, "armchair") is part


def test_the_catalogues_rotation_is_applied_before_scaling(tmp_path: Path) -> None:
    library = Library([make(tmp_path, {**ROW, "modelRotation": "-1 0 0 0 1 0 0 0 -1"})])
    part = library.part(library.entries[0], "armchair")
    assert part is not None
    v = part.mesh.vertices
    assert v[v[:, 2] > 0.69][:, 1].max() < -0.44


def test_surfaces_come_from_the_catalogue(tmp_path: Path) -> None:
    row = {**ROW, "name": "Table", "category": "Living room", "width": "150", "depth": "80", "height": "75"}
    library = Library([make(tmp_path, {**row, "dropOnTopElevation": "75"}, m_S_wedge__obj=SLAB.encode())])
    part = library.part(library.entries[0], "table")
    assert part is not None
    (top,) = part.surfaces
    assert top.z == pytest.approx(0.75)
    assert top.use == "table"
    assert top.x1 == pytest.approx(1.5 * 0.47)
    without = Library([make(tmp_path, {**row, "dropOnTopElevation": "-1"}, m_S_wedge__obj=SLAB.encode())])
    assert without.part(without.entries[0], "table").surfaces == ()


SLAB = """v -1 0 -1
v 1 0 -1
v 1 0 1
v -1 0 1
v -1 1 -1
v 1 1 -1
v 1 1 1
v -1 1 1
f 1 2 3 4
f 5 6 7 8
f 1 2 6 5
f 3 4 8 7
"""


def test_a_top_with_a_hole_carries_nothing(tmp_path: Path) -> None:
    row = {**ROW, "name": "Table", "width": "150", "depth": "80", "height": "75", "dropOnTopElevation": "75"}
    frame = SLAB.replace("f 5 6 7 8", "f 5 6 7")  # half of the top is missing
    library = Library([make(tmp_path, row, m_S_wedge__obj=frame.encode())])
    part = library.part(library.entries[0], "table")
    assert part is not None
    assert part.surfaces == ()


def test_clear_glass_heavy_models_and_cut_outs_are_left_out(tmp_path: Path) -> None:
    glass = Library([make(tmp_path, m_S_wedge__mtl=b"newmtl front\nd 0.1\nnewmtl back\nTr 0.1\n")])
    part = glass.part(glass.entries[0], "armchair")
    assert part is not None
    assert len(part.mesh.faces) == 6
    cut = cv2.imencode(".png", np.zeros((4, 4, 4), np.uint8))[1]
    leaves = Library([make(tmp_path, m_S_paint__png=bytes(cut))])
    assert leaves.part(leaves.entries[0], "armchair") is None
    heavy = Library([make(tmp_path, m_S_wedge__obj=(WEDGE + "f 1 2 3\n" * 46_000).encode())])
    assert heavy.part(heavy.entries[0], "armchair") is None


@pytest.mark.parametrize(
    "row",
    [
        {**ROW, "width": "wide"}, {**ROW, "height": "nan"}, {**ROW, "depth": "-3"}, {**ROW, "modelRotation": "1 0 0"},
        {**ROW, "model": "/m/../../etc/passwd"}, {**ROW, "model": "/m/missing.obj"},
        {k: v for k, v in ROW.items() if k != "width"}, {**ROW, "width": "1e9"},
    ],
)  # fmt: skip
def test_catalogues_with_impossible_values(tmp_path: Path, row: dict[str, str]) -> None:
    with pytest.raises(FormatError, match=r"tiny\.sh3f"):
        Library([make(tmp_path, row)])


@pytest.mark.parametrize(
    "obj",
    [
        b"v 0 0 0\nf 1 2 3\n", b"v a b c\n", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 x\n",
        b"v 0 0 0\nv 1 0 0\nv 0 inf 0\nf 1 2 3\n", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -9\n",
        b"v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    ],
)  # fmt: skip
def test_damaged_models_are_named(tmp_path: Path, obj: bytes) -> None:
    library = Library([make(tmp_path, m_S_wedge__obj=obj)])
    with pytest.raises(FormatError, match="wedge"):
        library.part(library.entries[0], "armchair")


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    library = Library([make(tmp_path, m_S_paint__png=b"not a picture")])
    with pytest.raises(FormatError, match="paint"):
        library.part(library.entries[0], "armchair")


def test_files_that_are_no_library(tmp_path: Path) -> None:
    path = tmp_path / "x.sh3f"
    path.write_bytes(b"hello")
    with pytest.raises(FormatError, match=r"x\.sh3f"):
        read_catalogue(path)
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    path.write_bytes(buffer.getvalue())
    with pytest.raises(FormatError, match="Catalog"):
        read_catalogue(path)
    with pytest.raises(InputError, match="librar"):
        Library([])


def test_torn_zip_data_is_a_format_error(tmp_path: Path) -> None:
    path = make(tmp_path)
    library = Library([path])
    data = bytearray(path.read_bytes())
    at = data.find(b"m/wedge.obj") + len("m/wedge.obj")
    data[at + 5 : at + 40] = b"\xff" * 35
    path.write_bytes(bytes(data))
    with pytest.raises(FormatError, match="wedge"):
        library.part(library.entries[0], "armchair")


def test_a_member_bigger_than_allowed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenewright.worlds.library._MAX_CATALOGUE_BYTES", 100)
    with pytest.raises(FormatError, match="at most 100"):
        Library([make(tmp_path)])


@pytest.mark.parametrize(
    ("category", "name", "label"),
    [
        ("Living room", "Corner sofa", "sofa"), ("Living room", "Chair", "chair"), ("Office", "Desk", "table"),
        ("Lights", "Desk lamp", "objects"), ("Miscellaneous", "Table fan", "objects"), ("Bedroom", "Iron bed", "bed"),
        ("Bedroom", "Bedside table", "furniture"), ("Living room", "TV 16:9", "tv"), ("Kitchen", "Oven", "furniture"),
        ("Living room", "TV stand", "furniture"), ("Doors and windows", "Door", "wall"), ("Kitchen", "Cup", "objects"),
        ("Doors and windows", "Turn window", "window"), ("Vehicles", "Seat Leon", "objects"),
        ("Miscellaneous", "Table tennis", "objects"), ("Living room", "TV remote control", "objects"),
    ],
)  # fmt: skip
def test_labels_by_name(category: str, name: str, label: str) -> None:
    assert label_of(category, name) == label


@pytest.fixture(scope="module")
def installed() -> Library:
    library = Library.installed()
    if library is None:
        pytest.skip(f"no furniture libraries in {DEBIAN_FOLDER}")
    return library


def test_splits_share_no_model(installed: Library) -> None:
    keys = {s: {e.key for e in installed.entries if e.split == s} for s in SPLITS}
    assert sum(map(len, keys.values())) == len({e.key for e in installed.entries})
    share = {s: len(k) / len(installed.entries) for s, k in keys.items()}
    assert 0.7 < share["train"] < 0.88
    assert min(share["validation"], share["test"]) > 0.05


def test_every_role_has_models_to_train_on(installed: Library) -> None:
    empty = [r for r in ROLES if not installed.candidates(r, "train")]
    assert len(empty) <= 2, empty
    for e in installed.entries:
        assert label_of(e.category, e.name) in LABELS


def test_rooms_name_the_makers_of_their_furniture(installed: Library) -> None:
    rooms = [build_room(seed, "test", "living room", installed) for seed in range(3)]
    sources = {p.source for room in rooms for p in room.placed if p.source}
    assert sources
    allowed = {e.source for e in installed.entries if e.split == "test"}
    assert sources <= allowed
