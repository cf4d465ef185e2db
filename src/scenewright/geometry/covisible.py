"""Which places of one depth map another one sees, and where: exact correspondences of two posed views."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
NEAREST_M = 0.1
"""What lies nearer to a camera, or behind it, is not seen."""


def pixels(size: tuple[int, int], step: int = 1, margin: int = 0) -> NDArray[np.int64]:
    """(N, 2) every `step`-th pixel (x, y) of a picture of (height, width), `margin` away from its edge, row by row."""
    h, w = size
    v, u = np.mgrid[margin : h - margin : step, margin : w - margin : step].reshape(2, -1)
    return np.stack([u, v], 1)


def transfer(
    uv: NDArray[np.integer], depth_m: NDArray[np.floating], K_first: NDArray[np.floating],
    K_second: NDArray[np.floating], T_second_first: Doubles,
) -> tuple[Doubles, Doubles]:  # fmt: skip
    """Where the surfaces at whole pixels of one view lie in another, seen or not.

    Args:
        uv: (N, 2) pixels (x, y) of the first view.
        depth_m: (H, W) z-depth of the first, 0 = unknown.
        K_first, K_second: (3, 3) intrinsics.
        T_second_first: (4, 4) maps camera points of the first view into the second.

    Returns:
        Pixels (N, 2) in the second view, and z-depth (N,) there; pixels are NaN where depth is unknown or the point
        lies nearer to the second camera than 10 cm, or behind it.
    """
    K = K_second.astype(np.float64)
    M = K @ T_second_first[:3, :3] @ np.linalg.inv(K_first.astype(np.float64))
    z = depth_m[uv[:, 1], uv[:, 0]].astype(np.float64)
    x, y, ahead = (M @ np.stack([*uv.T, np.ones(len(uv))])) * z + (K @ T_second_first[:3, 3])[:, None]
    known = np.where((z > 0) & (ahead > NEAREST_M), ahead, np.nan)
    return np.stack([x / known, y / known], 1), ahead


def agrees(
    there: Doubles, z: Doubles, depth_m: NDArray[np.floating], tolerance: float, margin: int = 0
) -> NDArray[np.bool_]:
    """(N,) whether a view sees the points that lie at pixels `there` (N, 2) and depth z (N,): its depth at the nearest
    pixel is the same within a share `tolerance`, and the pixel lies `margin` away from its edge."""
    h, w = depth_m.shape
    x, y = there.T
    with np.errstate(invalid="ignore"):
        inside = (x >= margin) & (x <= w - 1 - margin) & (y >= margin) & (y <= h - 1 - margin)
    u, v = (np.rint(np.where(inside, c, 0)).astype(np.int64) for c in (x, y))
    found = depth_m[v, u]
    return np.asarray(inside & (found > 0) & (np.abs(found - z) < tolerance * z), bool)


def seen_share(
    depth_first_m: NDArray[np.floating], depth_second_m: NDArray[np.floating], K: NDArray[np.floating],
    T_second_first: Doubles, tolerance: float,
) -> float:  # fmt: skip
    """Share of the first view's pixels whose surfaces the second, of the same camera, sees too."""
    there, z = transfer(pixels(depth_first_m.shape[:2]), depth_first_m, K, K, T_second_first)
    return float(agrees(there, z, depth_second_m, tolerance).mean())
