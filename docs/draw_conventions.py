"""Draw docs/images/conventions.png. Run from anywhere: python docs/draw_conventions.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import torch
from matplotlib import pyplot as plt

from scenewright.files import atomic_path
from scenewright.geometry.camera import Camera
from scenewright.geometry.lie import look_at, transform
from scenewright.geometry.projection import unproject_points

RED, GREEN, BLUE, INK = "#c0392b", "#1e8449", "#1f618d", "#34495e"


def draw_axes(ax: Any, T_world_frame: torch.Tensor, names: tuple[str, str, str], length: float) -> None:
    """The three axes of a frame, as arrows in the world."""
    origin = T_world_frame[:3, 3].numpy()
    for i, (name, colour) in enumerate(zip(names, (RED, GREEN, BLUE))):
        step = T_world_frame[:3, i].numpy() * length
        ax.quiver(*origin, *step, color=colour, linewidth=2.2, arrow_length_ratio=0.15)
        ax.text(*(origin + step * 1.25), name, color=colour, fontsize=11, ha="center", va="center")


def draw_world(ax: Any) -> None:
    """A camera in the world, its picture, and one point along a ray."""
    camera = Camera.from_fov(64, 48, 60)
    eye, target, up = torch.tensor([[2.0, 0.2, 1.75], [3.6, 3.6, 1.2], [0.0, 0.0, 1.0]])
    T_world_cam = look_at(eye, target, up)
    corners = torch.tensor([[-0.5, -0.5], [63.5, -0.5], [63.5, 47.5], [-0.5, 47.5], [-0.5, -0.5]])
    picture = transform(T_world_cam, unproject_points(corners, torch.full((5,), 1.7), camera)).numpy()
    ax.plot(*picture.T, color=INK, linewidth=1.4)
    for corner in picture[:4]:
        ax.plot(*np.stack([eye.numpy(), corner]).T, color=INK, linewidth=0.7)
    ax.text(*(picture[0] + [0, 0, 0.15]), "pixel (0, 0)", color=INK, fontsize=9, ha="center")
    uv = torch.tensor([[46.0, 36.0]])
    point = transform(T_world_cam, unproject_points(uv, torch.tensor([2.4]), camera)).numpy()[0]
    ax.plot(*np.stack([eye.numpy(), point]).T, color="#b9770e", linewidth=1.2, linestyle="--")
    ax.scatter(*point, color="#b9770e", s=35)
    ax.text(*(point + [0, 0, -0.3]), r"$X_{world}=T_{world\,cam}\,X_{cam}$", color="#b9770e", fontsize=11, ha="center")
    draw_axes(ax, torch.eye(4), ("x", "y", "z up"), 0.8)
    ax.text(-0.1, -0.35, -0.15, "world", color=INK, fontsize=11)
    draw_axes(ax, T_world_cam, ("x right", "y down", "z forward"), 0.85)
    ax.text(*(eye.numpy() + [-0.15, 0, 0.15]), "camera", color=INK, fontsize=11, ha="right")
    ax.set(xlim=(-0.2, 3.8), ylim=(-0.8, 3.2), zlim=(0, 2.0))
    ax.set_box_aspect((4, 4, 2.0), zoom=1.22)
    ax.view_init(elev=38, azim=-52)
    ax.set_axis_off()
    ax.set_title("Axes: OpenCV camera, world with z up, metres", fontsize=12, color=INK)


def draw_pixels(ax: Any) -> None:
    """Pixel centres at integers on a picture of 5 x 4."""
    width, height = 5, 4
    for u in range(width):
        for v in range(height):
            ax.add_patch(plt.Rectangle((u - 0.5, v - 0.5), 1, 1, facecolor="#f4f6f7", edgecolor="#aab7b8"))
            ax.plot(u, v, "o", color=INK, markersize=4)
    for (u, v), name in (((0, 0), "(0, 0)"), ((width - 1, height - 1), "(W-1, H-1)")):
        ax.annotate(name, (u, v), (u, v - 0.2), ha="center", fontsize=9, color=INK)
    ax.plot((width - 1) / 2, (height - 1) / 2, "+", color=RED, markersize=14, markeredgewidth=2)
    ax.annotate("middle ((W-1)/2, (H-1)/2)", (2, 1.5), (2, 1.8), ha="center", fontsize=9, color=RED)
    arrow = {"arrowstyle": "-|>", "linewidth": 2}
    ax.annotate("", (1.6, -0.85), (-0.5, -0.85), arrowprops=arrow | {"color": RED})
    ax.text(1.75, -0.85, "u", color=RED, fontsize=12, va="center")
    ax.annotate("", (-0.85, 1.6), (-0.85, -0.5), arrowprops=arrow | {"color": GREEN})
    ax.text(-0.85, 1.85, "v", color=GREEN, fontsize=12, ha="center")
    ax.text(-0.5, height - 0.2, "left edge -1/2", fontsize=9, color=INK, ha="center")
    ax.text(width - 0.5, height - 0.2, "right edge W-1/2", fontsize=9, color=INK, ha="center")
    ax.set(xlim=(-1.4, width + 0.4), ylim=(height + 0.1, -1.2), aspect="equal")
    ax.set_axis_off()
    ax.set_title("Pixels: centres at integers", fontsize=12, color=INK)


def main() -> None:
    figure = plt.figure(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    draw_world(left.add_subplot(projection="3d"))
    draw_pixels(right.add_subplot())
    with atomic_path(Path(__file__).parent / "images" / "conventions.png") as path:
        figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
