"""From keyframes to the finished mesh: what is believed is fused, meshed, smoothed and painted."""

from __future__ import annotations

from collections.abc import Sequence

from scenewright.slam.consistency import ConsistencyOptions, consistent
from scenewright.slam.mesh import SurfaceMesh, extract, smooth
from scenewright.slam.paint import PaintOptions, paint
from scenewright.slam.tsdf import TsdfOptions, fuse
from scenewright.slam.types import Keyframe


def surface_of(
    keyframes: Sequence[Keyframe], options: TsdfOptions | None = None, *,
    consistency: ConsistencyOptions | None = None, painting: PaintOptions | None = None, smoothing: int = 10,
) -> SurfaceMesh:  # fmt: skip
    """The coloured (and labelled) mesh of a finished map.

    Args:
        smoothing: rounds of Taubin's filter.

    Raises:
        InputError: no keyframe, or a map that would outgrow `options.max_blocks`.
    """
    believed = consistent(keyframes, consistency)
    mesh = smooth(extract(fuse(believed, options)), smoothing)
    return paint(mesh, believed, painting)
