"""Voxel grids: where they stand in the world, what a depth map says about them, and their view from a camera."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.geometry.checks import check_fits, check_shape
from scenewright.geometry.lie import se3_inverse, transform
from scenewright.geometry.projection import MIN_DEPTH, backproject, project_points, rays
from scenewright.geometry.sampling import Mode, Padding, sample_at, sample_nearest, sample_volume


@dataclass(frozen=True)
class VoxelFrame:
    """A grid of cubic voxels, aligned with the world's axes.

    Args:
        shape: (N0, N1, N2) voxels along the array's axes.
        origin: (x, y, z) of the outer corner of voxel (0, 0, 0), metres.
        size_m: edge of a voxel.
        axes: the world axis each array axis follows; SSCNet's [x, height, y] is (0, 2, 1).
        value_at: "centre", or "corner" for SSCNet's own placement, half a voxel lower (its fusion uses p = o + i u).
    """

    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    size_m: float
    axes: tuple[int, int, int] = (0, 1, 2)
    value_at: str = "centre"

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or not self.size_m > 0:
            raise InputError("VoxelFrame", f"{self.shape} voxels of {self.size_m} m", "positive numbers")
        if sorted(self.axes) != [0, 1, 2] or self.value_at not in ("centre", "corner"):
            raise InputError(
                "VoxelFrame", f"axes {self.axes}, {self.value_at}", "a permutation of 0 1 2; centre or corner"
            )

    @property
    def _offset(self) -> float:
        return 0.5 if self.value_at == "centre" else 0.0

    def positions(self, like: Tensor) -> Tensor:
        """World position (N0, N1, N2, 3) of every voxel's value: origin + (i + 1/2) size."""
        steps = [
            (torch.arange(n, dtype=like.dtype, device=like.device) + self._offset) * self.size_m for n in self.shape
        ]
        grid = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1)
        return grid[..., [self.axes.index(w) for w in range(3)]] + like.new_tensor(self.origin)

    def index(self, points: Tensor) -> Tensor:
        """Continuous array index (..., 3) of world points (..., 3); integers are the places of values."""
        return ((points - points.new_tensor(self.origin)) / self.size_m - self._offset)[..., list(self.axes)]

    def voxel(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The voxel (..., 3) int64 that holds each world point, floor((p - o) / u), and whether (...) it exists."""
        voxel = torch.floor((points - points.new_tensor(self.origin)) / self.size_m)[..., list(self.axes)]
        inside = ((voxel >= 0) & (voxel < voxel.new_tensor(self.shape))).all(-1)
        return torch.where(inside[..., None], voxel, 0).long(), inside

    def coarser(self, factor: int) -> VoxelFrame:
        """The frame of the grid pooled by `factor` along every axis.

        Raises:
            InputError: the factor does not divide the shape.
        """
        if factor < 1 or any(n % factor for n in self.shape):
            raise InputError("factor", factor, f"a divisor of {self.shape}")
        n0, n1, n2 = (n // factor for n in self.shape)
        return VoxelFrame((n0, n1, n2), self.origin, self.size_m * factor, self.axes, self.value_at)


class Visibility(IntEnum):
    """What a view knows of a voxel (the codes of SSCNet's evaluation files)."""

    SURFACE = 0
    FREE = 1
    OCCLUDED = -1
    MISSING_DEPTH = -2
    OUTSIDE_VIEW = -3
    OUTSIDE_ROOM = -4
    ABOVE_CEILING = -5


# ---- what a depth map says ----------------------------------------------------------------------------------------
def tsdf_projective(
    depth_m: Tensor, camera: Camera, T_world_cam: Tensor, frame: VoxelFrame, margin_m: float
) -> tuple[Tensor, Tensor]:
    """Truncated distance to the surface along each voxel's own viewing ray, positive in front.

    t = clip((D(pi(v)) - z) sqrt(1 + x'^2 + y'^2) / margin, -1, 1), x' = x / z; D read at the nearest pixel.

    Args:
        depth_m: (B, 1, H, W), 0 = unknown.
        T_world_cam: (4, 4) or (B, 4, 4).
        margin_m: truncation distance.

    Returns:
        tsdf: (B, 1, N0, N1, N2) in [-1, 1]; +1 where nothing is known. Differentiable in depth and pose.
        observed: same shape, bool: in view, with known depth.
    """
    along_ray, observed, _ = _look(depth_m, camera, T_world_cam, frame)
    return torch.where(observed, (along_ray / margin_m).clamp(-1, 1), 1.0), observed


def tsdf_view_independent(
    depth_m: Tensor, camera: Camera, T_world_cam: Tensor, frame: VoxelFrame, margin_m: float
) -> tuple[Tensor, Tensor]:
    """SSCNet's TSDF: truncated Euclidean distance to the nearest observed surface voxel, signed along the ray.

    A surface voxel is exactly 0; not differentiable. Arguments and results as `tsdf_projective`.
    """
    along_ray, observed, _ = _look(depth_m, camera, T_world_cam, frame)
    surface = surface_voxels(depth_m, camera, T_world_cam, frame)
    distance = torch.stack([_distance_to(one) for one in surface[:, 0]])[:, None].to(depth_m)
    size = (distance * (frame.size_m / margin_m)).clamp(max=1)
    tsdf = torch.where(observed, torch.where(along_ray < 0, -size, size), 1.0)
    return torch.where(surface, 0.0, tsdf), observed | surface


def flip_tsdf(tsdf: Tensor) -> Tensor:
    """sign(t) max(0.001, 1 - |t|): the jump moves from the far side of the margin to the surface (SSCNet 3.2).

    Values within 0.001 of the surface count as in front of it.
    """
    magnitude = (1 - tsdf.abs()).clamp(min=0.001)
    return torch.where(tsdf > -0.001, magnitude, -magnitude)


def surface_voxels(depth_m: Tensor, camera: Camera, T_world_cam: Tensor, frame: VoxelFrame) -> Tensor:
    """Which voxels (B, 1, N0, N1, N2) bool hold a back-projected pixel of the depth map."""
    points = transform(T_world_cam, backproject(depth_m, camera).movedim(1, -1)).flatten(1, 2)
    voxel, inside = frame.voxel(points)
    hit = inside & (depth_m > 0).flatten(1).expand_as(inside)
    _, n1, n2 = frame.shape
    flat = (voxel[..., 0] * n1 + voxel[..., 1]) * n2 + voxel[..., 2]
    counts = torch.zeros(len(points), frame.shape[0] * n1 * n2, dtype=torch.int32, device=points.device)
    return (counts.scatter_add_(1, flat, hit.int()) > 0).unflatten(1, (1, *frame.shape))


def visibility(
    depth_m: Tensor,
    camera: Camera,
    T_world_cam: Tensor,
    frame: VoxelFrame,
    room: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """One `Visibility` code per voxel, (B, 1, N0, N1, N2) int8.

    Args:
        room: lower and upper corner (3,) of the room's box, world z up. Voxels outside it that are no surface are
            ABOVE_CEILING where only their height leaves the box, else OUTSIDE_ROOM.
    """
    along_ray, observed, in_view = _look(depth_m, camera, T_world_cam, frame)
    code = torch.full(along_ray.shape, int(Visibility.OUTSIDE_VIEW), dtype=torch.int8, device=along_ray.device)
    code[in_view] = int(Visibility.MISSING_DEPTH)
    code[observed & (along_ray > 0)] = int(Visibility.FREE)
    code[observed & (along_ray <= 0)] = int(Visibility.OCCLUDED)
    if room is not None:
        lower, upper = room
        position = frame.positions(like=lower)
        outside = (position < lower) | (position > upper)
        code[:, :, outside.any(-1)] = int(Visibility.OUTSIDE_ROOM)
        above = (position > upper)[..., 2] & ~outside[..., :2].any(-1)
        code[:, :, above] = int(Visibility.ABOVE_CEILING)
    code[surface_voxels(depth_m, camera, T_world_cam, frame)] = int(Visibility.SURFACE)
    return code


def _look(depth_m: Tensor, camera: Camera, T_world_cam: Tensor, frame: VoxelFrame) -> tuple[Tensor, Tensor, Tensor]:
    """Signed distance along the ray from each voxel to the surface, whether it is known, and whether in view."""
    check_fits("depth_m", depth_m, camera)
    points = transform(se3_inverse(T_world_cam), frame.positions(like=depth_m)[None].flatten(1, 3))
    uv, z = project_points(points, camera)
    seen = sample_nearest(depth_m, uv[:, None])[:, 0, 0]
    _, inside = sample_at(depth_m, uv[:, None], "nearest")
    in_view = inside[:, 0, 0] & (z > MIN_DEPTH)
    along_ray = (seen - z) * torch.linalg.vector_norm(points / z.clamp(min=MIN_DEPTH)[..., None], dim=-1)
    along_ray, observed, in_view = (
        x.unflatten(1, (1, *frame.shape)) for x in (along_ray, in_view & (seen > 0), in_view.expand_as(seen))
    )
    return along_ray, observed, in_view


def _distance_to(surface: Tensor) -> Tensor:
    """Distance in voxels from every voxel of (N0, N1, N2) to the nearest True one; infinite without any."""
    if not bool(surface.any()):
        return torch.full(surface.shape, torch.inf)
    return torch.from_numpy(distance_transform_edt(~surface.cpu().numpy()))


# ---- reading and reshaping volumes --------------------------------------------------------------------------------
def sample_world(
    volume: Tensor, frame: VoxelFrame, points: Tensor, mode: Mode = "bilinear", padding: Padding = "zeros"
) -> tuple[Tensor, Tensor]:
    """Read a volume at world points.

    Args:
        volume: (B, C, N0, N1, N2) of the frame's shape.
        points: (B, ..., 3); B may be 1 on either side.

    Returns:
        values: (B, C, ...) and valid: (B, 1, ...) bool.
    """
    check_shape("volume", volume, None, None, *frame.shape)
    index = frame.index(points)
    values, valid = sample_volume(volume, index.reshape(len(index), -1, 1, 1, 3), mode, padding)
    return values.flatten(2).unflatten(2, points.shape[1:-1]), valid.flatten(2).unflatten(2, points.shape[1:-1])


def frustum_points(camera: Camera, depths: Tensor, T_world_cam: Tensor) -> Tensor:
    """World points (B, D, H, W, 3) seen by every pixel at every depth (D,)."""
    check_shape("depths", depths, None)
    directions = rays(camera).movedim(1, -1)[:, None]
    return transform(T_world_cam, directions * depths[:, None, None, None])


def world_to_frustum(
    volume: Tensor, frame: VoxelFrame, camera: Camera, depths: Tensor, T_world_cam: Tensor
) -> tuple[Tensor, Tensor]:
    """The volume resampled along viewing rays, 0 outside (the perspective transformer of PTN, section 3.2).

    The silhouette is its maximum over D.

    Returns:
        frustum: (B, C, D, H, W).
        valid: (B, 1, D, H, W) bool.
    """
    return sample_world(volume, frame, frustum_points(camera, depths, T_world_cam))


def frustum_to_world(
    frustum: Tensor, camera: Camera, depths: Tensor, T_world_cam: Tensor, frame: VoxelFrame
) -> tuple[Tensor, Tensor]:
    """A volume over pixels and depths, resampled onto a world grid; 0 outside the frustum.

    Args:
        frustum: (B, C, D, H, W).
        depths: (D,) strictly rising or falling; between planes the depth is interpolated linearly.

    Returns:
        volume: (B, C, N0, N1, N2).
        valid: (B, 1, N0, N1, N2) bool.
    """
    check_shape("frustum", frustum, None, None, len(depths), *camera.size)
    points = transform(se3_inverse(T_world_cam), frame.positions(like=frustum)[None].flatten(1, 3))
    uv, z = project_points(points, camera)
    index = torch.cat([_plane_index(depths, z)[..., None], uv.flip(-1)], dim=-1)
    values, valid = sample_volume(frustum, index[:, :, None, None])
    return values[..., 0, 0].unflatten(2, frame.shape), valid[..., 0, 0].unflatten(2, frame.shape)


def _plane_index(depths: Tensor, z: Tensor) -> Tensor:
    """Position of depths z among the planes, piecewise linear, extrapolated beyond both ends."""
    falling = bool(depths[0] > depths[-1])
    rising = depths.flip(0) if falling else depths
    if len(rising) < 2 or not bool((rising[1:] > rising[:-1]).all()):
        raise InputError("depths", depths.tolist(), "at least two, strictly rising or falling")
    upper = torch.searchsorted(rising, z.detach().contiguous()).clamp(1, len(rising) - 1)
    index = upper - 1 + (z - rising[upper - 1]) / (rising[upper] - rising[upper - 1])
    return len(rising) - 1 - index if falling else index
