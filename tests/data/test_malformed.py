"""Every reader against every kind of damage: one table, which a reader that is missing from it makes fail.

What a reader may do with a damaged file is to read it all the same or to raise one of the two errors that name what is
wrong; it may neither fail in another way nor hang, whatever the bytes.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import scipy.io

import feature_sets
import kitti_world
from scenewright import data
from scenewright.data.clip import read_clip
from scenewright.data.ddff import Ddff
from scenewright.data.diw import Diw
from scenewright.data.focal_folder import read_distances, read_focal_folder
from scenewright.data.folder import read_folder
from scenewright.data.homography_pairs import HomographyPairs, read_homography
from scenewright.data.images import read_depth_png, read_header, read_image, write_depth_png
from scenewright.data.kitti import KittiDepth, KittiRaw, read_frame_list
from scenewright.data.kitti_calibration import read_calibration, read_day, read_scan
from scenewright.data.kitti_sequences import read_kitti_clip, read_kitti_odometry
from scenewright.data.layout import read_intrinsics
from scenewright.data.make3d import Make3d
from scenewright.data.matlab import read_mat
from scenewright.data.meshes import TriangleMesh, read_ply, write_ply
from scenewright.data.nyu import NyuLabelled
from scenewright.data.nyu_pairs import NyuPairs
from scenewright.data.pfm import read_pfm, write_pfm
from scenewright.data.photo_tour import PhotoTour
from scenewright.data.posed_photos import open_posed_photos
from scenewright.data.readers import KINDS, open_reader
from scenewright.data.rgbd_pairs import RgbdPairs
from scenewright.data.safe import read_bytes, read_text
from scenewright.data.sequences import open_sequence
from scenewright.data.seven_scenes import read_matrix_pose, read_seven_scenes
from scenewright.data.singles import read_singles
from scenewright.data.stereo import StereoPairs
from scenewright.data.tables import read_rows, read_table
from scenewright.data.trajectory import read_trajectory
from scenewright.data.tum import read_tum
from scenewright.data.video import Video
from scenewright.errors import FormatError, InputError

WIDTH, HEIGHT = 24, 18
PICTURE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
DEPTH = np.full((HEIGHT, WIDTH), 1500, np.uint16)
Read = Callable[[Path], Any]


@dataclass(frozen=True)
class Reader:
    """A row of the table.

    Args:
        build: writes a sound file (with what belongs to it) into a folder; returns the file that is then damaged.
        read: reads it, given that file.
        huge: contents whose header promises more than any machine holds; None where the format promises nothing.
        hostile: contents that are well formed and must be refused.
        covers: names of the readers that the row stands for.
        slow: each reading costs a process: fewer cases.
        optional: a layout without that file is sound, too, and what is no file counts as none.
    """

    build: Callable[[Path], Path]
    read: Read
    covers: tuple[Any, ...]
    huge: tuple[bytes, ...] = ()
    hostile: tuple[bytes, ...] = ()
    slow: bool = False
    optional: bool = False


def image(name: str, pixels: np.ndarray = PICTURE) -> Callable[[Path], Path]:
    return lambda folder: kitti_world.save(folder / name, pixels)


def text(name: str, content: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return build


def depth_png(folder: Path) -> Path:
    write_depth_png(folder / "a.png", DEPTH / 1000)
    return folder / "a.png"


def ply(folder: Path) -> Path:
    corners = np.eye(3, dtype=np.float32)
    write_ply(folder / "a.ply", TriangleMesh(corners, np.array([[0, 1, 2]], np.int32), np.zeros((3, 3), np.uint8)))
    return folder / "a.ply"


def pfm(folder: Path) -> Path:
    write_pfm(folder / "a.pfm", DEPTH.astype(np.float32))
    return folder / "a.pfm"


def mat(folder: Path) -> Path:
    scipy.io.savemat(folder / "a.mat", {"x": np.arange(20.0)}, do_compression=True)
    return folder / "a.mat"


def nyu(folder: Path) -> Path:
    with h5py.File(folder / "a.mat", "w", userblock_size=512) as file:
        file.create_dataset("images", data=np.zeros((1, 3, 8, 6), np.uint8), compression="gzip")
        file["depths"] = np.ones((1, 8, 6), "f4")
    return folder / "a.mat"


def ddff(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["stack_val"] = np.zeros((1, 3, 4, 5, 3), np.uint8)
        file["disp_val"] = np.ones((1, 4, 5), np.float32)
    return folder / "a.h5"


def scan(folder: Path) -> Path:
    kitti_world.scan(folder / "a.bin", np.array([[10.0, 0, 0], [5, 1, 0]]))
    return folder / "a.bin"


def diw(folder: Path) -> Path:
    kitti_world.save(folder / "1.png", PICTURE)
    (folder / "DIW_test.csv").write_text(f"./1.png\n2,3,4,5,<,{WIDTH},{HEIGHT}\n")
    return folder / "DIW_test.csv"


def nyu_pairs(folder: Path) -> Path:
    kitti_world.save(folder / "1.png", PICTURE)
    (folder / "points.csv").write_text("name,number,pairs\n./1.png,1,2,,\n2,3,4,5,<\n18,24,1,1,=\n")
    return folder / "points.csv"


def make3d(folder: Path) -> Path:
    kitti_world.save(folder / "img-a.png", PICTURE)
    path = folder / "depth_sph_corr-a.mat"
    scipy.io.savemat(path, {"Position3DGrid": np.ones((55, 305, 4), np.float32)}, do_compression=True)
    return path


def selection(folder: Path) -> Path:
    """KITTI's annotated maps."""
    kitti_world.save(folder / "image" / "d_image_0000000005_image_02.png", PICTURE)
    (folder / "intrinsics").mkdir()
    (folder / "intrinsics" / "d_image_0000000005_image_02.txt").write_text("15 0 9.5 0 15 4.5 0 0 1\n")
    return kitti_world.save(folder / "groundtruth_depth" / "d_groundtruth_depth_0000000005_image_02.png", DEPTH)


def middlebury(folder: Path) -> Path:
    for name in ("im0", "im1"):
        kitti_world.save(folder / f"{name}.png", PICTURE)
    write_pfm(folder / "disp0.pfm", np.full((HEIGHT, WIDTH), 4, np.float32))
    cam = "[50 0 12; 0 50 9; 0 0 1]"
    lines = f"cam0={cam}\ncam1={cam}\ndoffs=0\nbaseline=200\nwidth={WIDTH}\nheight={HEIGHT}\nndisp=9\n"
    (folder / "calib.txt").write_text(lines)
    return folder / "calib.txt"


def odometry(folder: Path) -> Path:
    root = folder / "sequences" / "07"
    for i in range(2):
        kitti_world.save(root / "image_2" / f"{i:06d}.png", PICTURE)
    (root / "times.txt").write_text("0.0\n0.1\n")
    (root / "calib.txt").write_text("P2: 20 0 12 0 0 20 9 0 0 0 1 0\n")
    (folder / "poses").mkdir()
    (folder / "poses" / "07.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n" * 2)
    return root / "calib.txt"


def kitti_clip(folder: Path) -> Path:
    kitti_world.save(folder / "image_02" / "000000.png", PICTURE)
    kitti_world.save(folder / "depth_velodyne" / "000000.png", DEPTH)
    (folder / "calib.txt").write_text(f"{WIDTH} {HEIGHT} 20 20 12 9\n")
    return folder / "calib.txt"


def clip(folder: Path) -> Path:
    kitti_world.save(folder / "color" / "00007.png", PICTURE)
    kitti_world.save(folder / "depth" / "00007.png", DEPTH)
    (folder / "poses.txt").write_text("00007 0 0 0 0 0 0 1\n")
    (folder / "intrinsics.txt").write_text(f"{WIDTH} {HEIGHT} 20 20 12 9\n")
    return folder / "poses.txt"


def tum(folder: Path) -> Path:
    kitti_world.save(folder / "rgb" / "0.png", np.zeros((480, 640, 3), np.uint8))
    kitti_world.save(folder / "depth" / "0.png", np.ones((480, 640), np.uint16))
    (folder / "rgb.txt").write_text("0.00 rgb/0.png\n")
    (folder / "depth.txt").write_text("0.01 depth/0.png\n")
    (folder / "groundtruth.txt").write_text("0.0 0 0 0 0 0 0 1\n")
    return folder / "rgb.txt"


def seven_scenes(folder: Path) -> Path:
    kitti_world.save(folder / "frame-000000.color.png", np.zeros((480, 640, 3), np.uint8))
    kitti_world.save(folder / "frame-000000.depth.png", np.ones((480, 640), np.uint16))
    np.savetxt(folder / "frame-000000.pose.txt", np.eye(4))
    return folder / "frame-000000.pose.txt"


def singles(folder: Path) -> Path:
    kitti_world.save(folder / "a_rgb.png", PICTURE)
    return kitti_world.save(folder / "a_depth_mm.png", DEPTH)


def photos(folder: Path) -> Path:
    kitti_world.save(folder / "b.png", PICTURE)
    (folder / "intrinsics.txt").write_text(f"{WIDTH} {HEIGHT} 20 20 12 9\n")
    return folder / "intrinsics.txt"


def focal(folder: Path) -> Path:
    for name in "ab":
        kitti_world.save(folder / f"{name}.png", PICTURE)
    (folder / "focus.txt").write_text("0.5\n1.5\n")
    return folder / "focus.txt"


def colmap(folder: Path) -> Path:
    kitti_world.save(folder / "images" / "a.png", PICTURE)
    (folder / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} 20 20 12 9\n")
    (folder / "images.txt").write_text("1 1 0 0 0 0 0 0 1 a.png\n\n")
    return folder / "images.txt"


def cameras_json(folder: Path) -> Path:
    kitti_world.save(folder / "images" / "a.png", PICTURE)
    camera = {"width": WIDTH, "height": HEIGHT, "fx": 20, "fy": 20, "cx": 12, "cy": 9}
    pose = {"R_cam_to_world": np.eye(3).tolist(), "centre": [0, 0, 0]}
    (folder / "cameras.json").write_text(json.dumps({"a.png": {**camera, **pose}}))
    return folder / "cameras.json"


def film(folder: Path) -> Path:
    writer = cv2.VideoWriter(str(folder / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for level in range(3):
        writer.write(np.full((48, 64, 3), 60 * level, np.uint8))
    writer.release()
    return folder / "a.avi"


def phototour(folder: Path) -> Path:
    return feature_sets.photo_tour(folder) / "m50_12_12_0.txt"


def homographies(folder: Path) -> Path:
    return feature_sets.plane(folder, {1: "1.ppm", 2: "2.ppm"}, "H_1_{}") / "2.ppm"


def beside(build: Callable[[Path], Path], name: str) -> Callable[[Path], Path]:
    """The same layout; another of its files, relative to the first, is damaged."""
    return lambda folder: build(folder).parent / name


def frames(up: int = 0) -> Read:
    """Read all frames of the layout whose root is `up` folders above the file's own."""
    return lambda path: list(open_sequence(path.parents[up]))


def first_item(kind: Callable[..., Any], up: int | None = 0) -> Read:
    return lambda path: kind(path if up is None else path.parents[up])[0]


def png_of(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG whose header promises a size, with a small sound body."""
    body = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", body) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def ply_of(vertices: int, faces: int = 0) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {vertices}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {faces}", "property list uchar int vertex_indices", "end_header"]
    return "\n".join(lines).encode() + b"\n" + bytes(36)


JPEG_HUGE = b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" + bytes(64)
WEBP_HUGE = b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\x7f" * 2 + bytes(32)
TIFF_HUGE = b"II*\0\x08\0\0\0\x02\0" + b"".join(struct.pack("<HHII", t, 4, 1, 60_000) for t in (256, 257)) + bytes(4)
BMP_HUGE = b"BM" + struct.pack("<IHHIIiiHHI", 99, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0) + bytes(64)
PPM_HUGE = (b"P6 60000 60000 255\n" + bytes(64), b"P5 999999999 999999999 255\n")
PNG_HUGE = (png_of(65_535, 65_535), png_of(2**31 - 1, 1), png_of(0, 0))
DEPTH_HUGE = (png_of(60_000, 60_000, 16, 0),)
NAMES_OUT = tuple(f"0.0 {name}\n".encode() for name in ("../../etc/passwd", "/etc/passwd", "rgb/../../x.png", "a\0b"))
BAD_POSE = tuple(f"{p}\n".encode() for p in ("0 nan 0 0 0 0 0 1", "0 0 0 0 0 0 0 9", "0 inf 0 0 0 0 0 1", "0 1 2"))
BAD_CAMERA = tuple(
    f"{p}\n".encode() for p in ("24 18 nan 20 12 9", "24 18 -1 20 12 9", "1e9 1e9 20 20 12 9", "25 18 20 20 1200 9")
)

TABLE: dict[str, Reader] = {
    "bytes": Reader(text("a.txt", "abc"), read_bytes, (read_bytes,)),
    "text": Reader(text("a.txt", "abc"), read_text, (read_text,), hostile=(b"\xff\xfe\x00",)),
    "rows": Reader(text("a.txt", "1 2\n"), lambda p: list(read_rows(p, 2)), (read_rows,), hostile=(b"1 2 3\n",)),
    "table": Reader(text("a.txt", "1 2\n"), lambda p: read_table(p, 2), (read_table,), hostile=(b"1 1e999\n",)),
    "jpeg": Reader(image("a.jpg"), read_image, (read_image,), huge=(JPEG_HUGE,)),
    "png": Reader(image("a.png"), read_image, (read_image,), huge=PNG_HUGE),
    "webp": Reader(image("a.webp"), read_image, (read_image,), huge=(WEBP_HUGE,)),
    "tiff": Reader(image("a.tif"), read_image, (read_image,), huge=(TIFF_HUGE,)),
    "header": Reader(image("a.png"), read_header, (read_header,), huge=(*PNG_HUGE, JPEG_HUGE, WEBP_HUGE, TIFF_HUGE)),
    "depth": Reader(depth_png, read_depth_png, (read_depth_png,), huge=DEPTH_HUGE, hostile=(png_of(24, 18),)),
    "depth unit": Reader(
        beside(depth_png, "a.json"), lambda p: read_depth_png(p.with_suffix(".png")), (read_depth_png,),
        hostile=(b'{"unit_m": 1e400}', b'{"unit_m": -1, "invalid": 0, "width": 24, "height": 18}', b"[" * 9999, b"[]"),
    ),
    "ply": Reader(ply, read_ply, (read_ply,), huge=(ply_of(10**9), ply_of(3, 10**8), ply_of(10**30)),
                  hostile=(ply_of(3, -1), ply_of(3).replace(b"float x", b"list uchar int x"))),
    "pfm": Reader(pfm, read_pfm, (read_pfm,), huge=(b"Pf 60000 60000 -1\n", b"PF 999999 999999 -1\n"),
                  hostile=(b"Pf 1 1 -1\n\0\0\xc0\x7f", b"Pf -2 2 -1\n" + bytes(16))),
    "mat": Reader(mat, lambda p: read_mat(p, ("x",)), (read_mat,)),
    "trajectory": Reader(text("a.txt", "0 0 0 0 0 0 0 1\n"), read_trajectory, (read_trajectory,), hostile=BAD_POSE),
    "intrinsics": Reader(text("a.txt", "24 18 20 20 12 9\n"), read_intrinsics, (read_intrinsics,),
                         hostile=BAD_CAMERA[:3]),
    "matrix": Reader(text("a.txt", "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"), read_matrix_pose, (read_matrix_pose,),
                     hostile=(b"1 0 0 0\n0 1 0 0\n0 0 -1 0\n0 0 0 1\n", b"1 0 0 0\n" * 5)),
    "film": Reader(film, lambda p: list(Video(p).frames()), (Video,), slow=True),
    "nyu": Reader(nyu, first_item(NyuLabelled, None), (NyuLabelled,)),
    "ddff": Reader(ddff, first_item(Ddff, None), (Ddff,)),
    "diw": Reader(diw, first_item(Diw, None), (Diw,),
                  hostile=(b"../../etc/passwd\n2,3,4,5,<,24,18\n", b"./1.png\n2,3,4,999,<,24,18\n", b"./1.png\n")),
    "nyu pairs": Reader(
        nyu_pairs, first_item(NyuPairs, None), (NyuPairs,),
        hostile=tuple(
            f"{lines}\n".encode() for lines in (
                *(f"{name},1,1\n2,3,4,5,<" for name in ("../../etc/x.png", "../../data/../x.png", "/etc/x.png")),
                *(f"1.png,1,{count}\n2,3,4,5,<" for count in (3, 0, -1, 999999999999)),
                *(f"1.png,1,1\n{pair}" for pair in ("2,3,19,5,<", "2,3,4,25,<", "0,3,4,5,<", "2,3,4,5,?")),
                "1.png,1,1\n2,3,4,5,<\n2,3,4,5,<", "title\ntitle\n1.png,1,1\n2,3,4,5,<", "title",
            )
        ),
    ),
    "make3d": Reader(make3d, first_item(Make3d), (Make3d,)),
    "kitti maps": Reader(selection, first_item(KittiDepth, 1), (KittiDepth,), huge=DEPTH_HUGE),
    "kitti list": Reader(
        text("l.txt", "d/e/image_02/data/1.png\n"), lambda p: read_frame_list(p.parent, p), (read_frame_list,),
        hostile=(b"../d/e/image_02/data/1.png\n", b"/etc/passwd\n", b"d/e\n"),
    ),
    "kitti calibration": Reader(text("c.txt", "P: 1 2\n"), read_calibration, (read_calibration,),
                                hostile=(b"P: 1\nP: 1\n", b"P 1 2\n", b"P: nan\n")),
    "kitti day": Reader(lambda f: kitti_world.raw(f) / "2011_09_26" / "calib_cam_to_cam.txt",
                        lambda p: read_day(p.parent), (read_day,), hostile=(b"P_rect_02: 1\n",)),
    "kitti scan": Reader(scan, read_scan, (read_scan,), hostile=(struct.pack("<4f", 1, float("nan"), 0, 0), bytes(15))),
    "kitti frame": Reader(
        lambda f: next(kitti_world.raw(f).rglob("*.bin")), lambda p: KittiRaw(p.parents[4])[0], (KittiRaw,)
    ),
    "stereo": Reader(middlebury, first_item(StereoPairs), (StereoPairs,), hostile=(b"cam0=[nan 0]\n",), optional=True),
    "stereo map": Reader(beside(middlebury, "disp0.pfm"), first_item(StereoPairs), (StereoPairs,), optional=True),
    "odometry": Reader(odometry, frames(), (read_kitti_odometry,), hostile=(b"P2: 1 2 3\n",)),
    "odometry times": Reader(beside(odometry, "times.txt"), frames(), (read_kitti_odometry,), hostile=(b"0\nnan\n",)),
    "odometry poses": Reader(lambda f: odometry(f).parents[2] / "poses" / "07.txt",
                             lambda p: open_sequence(p.parents[1] / "sequences" / "07"), (read_kitti_odometry,),
                             hostile=(b"9 0 0 0 0 1 0 0 0 0 1 0\n" * 2,), optional=True),
    "kitti clip": Reader(kitti_clip, frames(), (read_kitti_clip,), hostile=BAD_CAMERA, optional=True),
    "clip poses": Reader(clip, frames(), (read_clip,), hostile=(b"7 0 0 0 0 0 0 9\n", b"00007 nan 0 0 0 0 0 1\n")),
    "clip camera": Reader(beside(clip, "intrinsics.txt"), frames(), (read_clip,), hostile=BAD_CAMERA),
    "clip depth": Reader(beside(clip, "depth/00007.png"), frames(1), (read_clip,), huge=DEPTH_HUGE,
                         hostile=(png_of(24, 18),)),
    "tum": Reader(tum, frames(), (read_tum,), hostile=(*NAMES_OUT, b"nan rgb/0.png\n")),
    "tum depth": Reader(beside(tum, "depth.txt"), frames(), (read_tum,), hostile=NAMES_OUT),
    "tum truth": Reader(beside(tum, "groundtruth.txt"), frames(), (read_tum,), hostile=BAD_POSE),
    "7-scenes": Reader(seven_scenes, frames(), (read_seven_scenes,), hostile=(b"2 0 0 0\n" * 4,)),
    "7-scenes depth": Reader(beside(seven_scenes, "frame-000000.depth.png"), frames(), (read_seven_scenes,),
                             huge=DEPTH_HUGE),
    "singles": Reader(singles, frames(), (read_singles,), huge=DEPTH_HUGE, hostile=(png_of(24, 18),)),
    "focal distances": Reader(focal, lambda p: read_focal_folder(p.parent, align=False),
                              (read_focal_folder, read_distances), hostile=(b"1\n1\n", b"1\nnan\n", b"-1\n2\n", b"1\n"),
                              optional=True),
    "focal picture": Reader(beside(focal, "b.png"), lambda p: read_focal_folder(p.parent), (read_focal_folder,),
                            huge=PNG_HUGE),
    "colmap images": Reader(colmap, lambda p: open_posed_photos(p.parent), (open_posed_photos,),
                            hostile=(b"1 0 0 0 0 0 0 0 1 a.png\n\n", b"1 1 0 0 0 0 0 nan 1 a.png\n\n",
                                     b"1 1 0 0 0 0 0 0 9 a.png\n\n", b"1 1 0 0 0 0 0 0 1 ../../etc/passwd\n\n")),
    "colmap cameras": Reader(beside(colmap, "cameras.txt"), lambda p: open_posed_photos(p.parent), (open_posed_photos,),
                             hostile=(b"1 PINHOLE 24 18 0 0 12 9\n", b"1 FISHEYE 24 18 20 20 12 9\n",
                                      b"1 PINHOLE 1e9 18 20 20 12 9\n")),
    "cameras.json": Reader(cameras_json, lambda p: open_posed_photos(p.parent), (open_posed_photos,),
                           hostile=(b"[]", b"{}", b"[" * 99_999, b'{"../a.png": {}}', b'{"a.png": {"width": 1e999}}')),
    "bmp": Reader(image("a.bmp"), read_image, (read_image,), huge=(BMP_HUGE,)),
    "ppm": Reader(image("a.ppm"), read_image, (read_image,), huge=PPM_HUGE, hostile=(b"P6 2 2 65535\n" + bytes(24),)),
    "phototour points": Reader(beside(phototour, "info.txt"), first_item(PhotoTour), (PhotoTour,),
                               hostile=(b"-1 0\n", b"1e9 0\n", b"100 0\n" * 300, b"7 0\n")),
    "phototour list": Reader(phototour, first_item(PhotoTour), (PhotoTour,),
                             hostile=(b"0 100 0 99 100 0\n", b"0 100 0 1 101 0\n", b"0 100 0 -1 100 0\n", b"0 1\n")),
    "phototour sheet": Reader(beside(phototour, "patches0000.bmp"), first_item(PhotoTour), (PhotoTour,),
                              huge=(BMP_HUGE,), hostile=(png_of(24, 18),)),
    "homography": Reader(beside(homographies, "H_1_2"), first_item(HomographyPairs), (HomographyPairs, read_homography),
                         hostile=(b"0 0 0\n" * 3, b"1 0 0\n0 1 0\n", b"1 0 1e9\n0 1 0\n0 0 1\n", b"nan 0 0\n" * 3)),
    "homography picture": Reader(homographies, first_item(HomographyPairs), (HomographyPairs,), huge=PPM_HUGE),
    "rgbd pairs": Reader(lambda f: feature_sets.sliding_clip(f, 2) / "poses.txt", first_item(RgbdPairs), (RgbdPairs,),
                         hostile=(b"00000 0 0 0 0 0 0 9\n", b"00000 nan 0 0 0 0 0 1\n")),
    "photos": Reader(photos, frames(), (read_folder,), hostile=BAD_CAMERA),
}  # fmt: skip
"""All readers of `scenewright.data`."""

OTHERS = {
    "a picture": png_of(4, 3),
    "a JPEG's beginning": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "a zip": b"PK\x03\x04" + bytes(40),
    "a pickle": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
    "a web page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
    "JSON": json.dumps({"a": [1, 2, {"b": None}]}).encode(),
    "zeros": bytes(4096),
    "noise": np.random.default_rng(3).bytes(4096),
}
_ANYTHING = ("bytes", "text", "png", "jpeg", "webp", "tiff", "header", "kitti scan", "kitti frame", "bmp", "ppm",
             "homography picture")  # fmt: skip
"""Rows whose readers take other contents by right: pictures are known by content, zeros are points of a laser."""

rows = pytest.mark.parametrize("name", TABLE)


def tolerated(read: Read, path: Path) -> bool:
    """Whether the file is read; an error that names what is wrong is as good, any other fails the test."""
    try:
        read(path)
    except (FormatError, InputError):
        return False
    return True


def refuses(reader: Reader, path: Path) -> None:
    with pytest.raises((FormatError, InputError)) as caught:
        reader.read(path)
    assert path.stem.partition("_")[0] in str(caught.value), f"{caught.value} does not name {path.name}"


def test_no_reader_is_missing_from_the_table() -> None:
    covered = {reader for row in TABLE.values() for reader in row.covers}
    modules = [importlib.import_module(f"scenewright.data.{m.name}") for m in pkgutil.iter_modules(data.__path__)]
    functions = {
        f
        for module in modules
        for name, f in inspect.getmembers(module, inspect.isfunction)
        if name.startswith(("read_", "open_")) and f.__module__ == module.__name__
    }
    doors = {open_sequence, open_reader}  # to readers that have rows
    assert {f.__qualname__ for f in functions - covered - doors} == set()
    assert {kind.open.__qualname__ for kind in KINDS.values() if kind.open not in covered} == set()


@rows
def test_sound_files_are_read(tmp_path: Path, name: str) -> None:
    """Else the refusals below would prove nothing."""
    reader = TABLE[name]
    assert reader.read(reader.build(tmp_path)) is not None


@rows
def test_empty_files(tmp_path: Path, name: str) -> None:
    reader = TABLE[name]
    path = reader.build(tmp_path)
    path.write_bytes(b"")
    refuses(reader, path)


@rows
def test_a_folder_in_place_of_the_file(tmp_path: Path, name: str) -> None:
    reader = TABLE[name]
    path = reader.build(tmp_path)
    path.unlink()
    path.mkdir()
    assert not tolerated(reader.read, path) or reader.optional


@rows
def test_truncated_files(tmp_path: Path, name: str) -> None:
    reader = TABLE[name]
    path = reader.build(tmp_path)
    whole = path.read_bytes()
    shares = (0.5,) if reader.slow else (0.02, 0.1, 0.3, 0.5, 0.8, 0.95, 0.999)
    for length in sorted({max(1, int(share * len(whole))) for share in shares} - {len(whole)}):
        path.write_bytes(whole[:length])
        tolerated(reader.read, path)


@rows
def test_damaged_bytes(tmp_path: Path, name: str) -> None:
    reader = TABLE[name]
    path = reader.build(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(2 if reader.slow else 24):
        hurt = bytearray(whole)
        for place in rng.integers(0, len(hurt), rng.integers(1, 4)):
            hurt[place] = rng.integers(256)
        path.write_bytes(bytes(hurt))
        tolerated(reader.read, path)


@pytest.mark.parametrize("other", OTHERS)
@rows
def test_files_of_another_type(tmp_path: Path, name: str, other: str) -> None:
    reader = TABLE[name]
    path = reader.build(tmp_path)
    path.write_bytes(OTHERS[other])
    understood = tolerated(reader.read, path)
    assert not understood or name in _ANYTHING


@rows
def test_files_too_large_to_be_true(tmp_path: Path, name: str) -> None:
    """A sparse file of 4 TiB: refused by its size, not read."""
    reader = TABLE[name]
    path = reader.build(tmp_path)
    os.truncate(path, 1 << 42)
    if reader.slow or name in ("nyu", "ddff"):
        return  # films and HDF5 are read piece by piece: their size is no danger
    refuses(reader, path)


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, r in TABLE.items() for k in range(len(r.huge))])
def test_headers_that_promise_too_much(tmp_path: Path, name: str, k: int) -> None:
    reader = TABLE[name]
    path = reader.build(tmp_path)
    path.write_bytes(reader.huge[k])
    refuses(reader, path)


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, r in TABLE.items() for k in range(len(r.hostile))])
def test_hostile_contents(tmp_path: Path, name: str, k: int) -> None:
    reader = TABLE[name]
    path = reader.build(tmp_path)
    path.write_bytes(reader.hostile[k])
    assert not tolerated(reader.read, path)


@pytest.mark.parametrize("name", [name for name, reader in TABLE.items() if not reader.slow])
def test_a_device_in_place_of_the_file(tmp_path: Path, name: str) -> None:
    """A named pipe would be waited for without end."""
    reader = TABLE[name]
    path = reader.build(tmp_path)
    path.unlink()
    os.mkfifo(path)
    assert not tolerated(reader.read, path) or reader.optional
