"""Voxel frames, truncated distances, visibility and the perspective view of a grid."""

import pytest
import torch
from torch.autograd import gradcheck

from geometry_cases import F64, make_camera, make_motion, rand
from scenewright.errors import InputError
from scenewright.geometry import volume as vol
from scenewright.geometry.lie import look_at, se3_inverse, transform
from scenewright.geometry.projection import project_points
from scenewright.geometry.volume import Visibility, VoxelFrame
from tolerances import close

EYE = torch.eye(4, dtype=F64)
FRAME = VoxelFrame((4, 5, 6), (-1.0, 2.0, 0.5), 0.25, axes=(0, 2, 1))
WALL = VoxelFrame((10, 10, 20), (-0.5, -0.5, 1.0), 0.1)  # before a camera at the origin, looking along z


def wall_depth(z: float = 2.05) -> torch.Tensor:
    return torch.full((1, 1, 60, 80), z, dtype=F64)


def test_positions_are_centres_along_the_named_axes_and_index_undoes_them():
    positions = FRAME.positions(rand(1))
    assert positions.shape == (4, 5, 6, 3)
    close(positions[0, 0, 0], torch.tensor([-0.875, 2.125, 0.625], dtype=F64))
    close(positions[1, 2, 3] - positions[0, 0, 0], torch.tensor([0.25, 0.75, 0.5], dtype=F64))
    index = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=F64) for n in FRAME.shape), indexing="ij"), -1)
    close(FRAME.index(positions), index)
    for within in (-0.12, 0.0, 0.12):
        voxel, inside = FRAME.voxel(positions + within)
        assert torch.equal(voxel, index.long())
        assert bool(inside.all())
    assert not bool(FRAME.voxel(positions + 10)[1].any())


def test_the_corner_placement_lies_half_a_voxel_lower():
    corner = VoxelFrame(FRAME.shape, FRAME.origin, FRAME.size_m, FRAME.axes, value_at="corner")
    close(FRAME.positions(rand(1)) - corner.positions(rand(1)), torch.full((4, 5, 6, 3), 0.125, dtype=F64))
    close(corner.index(corner.positions(rand(1)))[3, 4, 5], torch.tensor([3.0, 4, 5], dtype=F64))
    points = rand(50, 3, low=-1, high=3)
    assert torch.equal(corner.voxel(points)[1], FRAME.voxel(points)[1])


def test_a_coarser_frame_covers_the_same_box():
    fine = VoxelFrame((8, 4, 12), (0.0, 1.0, 2.0), 0.1)
    pooled = torch.nn.functional.avg_pool3d(fine.positions(rand(1)).movedim(-1, 0)[None], 4)[0].movedim(0, -1)
    close(fine.coarser(4).positions(rand(1)), pooled)
    with pytest.raises(InputError, match="a divisor"):
        fine.coarser(3)


@pytest.mark.parametrize(
    "bad", [{"shape": (0, 1, 1)}, {"size_m": 0.0}, {"size_m": float("nan")}, {"axes": (0, 1, 1)}, {"value_at": "edge"}]
)
def test_frames_that_cannot_be_are_refused(bad):
    with pytest.raises(InputError, match="VoxelFrame"):
        VoxelFrame(**({"shape": (1, 1, 1), "origin": (0.0, 0.0, 0.0), "size_m": 1.0} | bad))


def test_distance_to_a_flat_wall_in_both_forms():
    camera, depth, margin = make_camera(80, 60), wall_depth(), 0.35
    position = WALL.positions(depth)
    to_wall = (2.05 - position[..., 2]) * torch.linalg.vector_norm(position / position[..., 2:], dim=-1)
    tsdf, observed = vol.tsdf_projective(depth, camera, EYE, WALL, margin)
    uv, _ = project_points(position, camera)
    in_view = ((uv >= 0) & (uv <= torch.tensor([79.0, 59.0], dtype=F64))).all(-1)
    assert torch.equal(observed[0, 0], in_view)
    close(tsdf[0, 0], torch.where(in_view, (to_wall / margin).clamp(-1, 1), 1.0))
    tsdf, observed = vol.tsdf_view_independent(depth, camera, EYE, WALL, margin)
    middle = tsdf[0, 0, 4, 5]  # the wall fills layer 10, so the distance is a count of layers
    layers = 10 - torch.arange(20, dtype=F64)
    close(middle, (layers * 0.1 / margin).clamp(-1, 1))
    assert bool((tsdf[~observed] == 1).all())


def test_flipping_moves_the_jump_to_the_surface():
    t = torch.tensor([0, 0.25, 1, -0.25, -1, -0.0005], dtype=F64)
    close(vol.flip_tsdf(t), torch.tensor([1, 0.75, 0.001, -0.75, -0.001, 0.9995], dtype=F64))


def test_nothing_seen_is_everywhere_plus_one():
    camera, nothing = make_camera(80, 60), torch.zeros(1, 1, 60, 80, dtype=F64)
    for form in (vol.tsdf_projective, vol.tsdf_view_independent):
        tsdf, observed = form(nothing, camera, EYE, WALL, 0.3)
        assert bool((tsdf == 1).all())
        assert not bool(observed.any())
        tsdf, observed = form(wall_depth(), camera, look_at(*(torch.tensor(x) for x in BEHIND)).double(), WALL, 0.3)
        assert not bool(observed.any())


BEHIND = ([0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0])


def test_moving_camera_and_grid_together_changes_nothing():
    camera, depth = make_camera(80, 60), rand(1, 1, 60, 80, low=1.5, high=2.5)
    shift = torch.tensor([3.0, -2.0, 1.0], dtype=F64)
    T_world_cam = EYE.clone()
    T_world_cam[:3, 3] = shift
    moved = VoxelFrame(WALL.shape, tuple((torch.tensor(WALL.origin, dtype=F64) + shift).tolist()), WALL.size_m)
    close(
        vol.tsdf_projective(depth, camera, T_world_cam, moved, 0.3)[0],
        vol.tsdf_projective(depth, camera, EYE, WALL, 0.3)[0],
    )


def test_visibility_partitions_the_grid():
    camera, depth = make_camera(80, 60), wall_depth()
    depth[..., :20, :] = 0
    room = (torch.tensor([-0.31, -9.0, 0.0], dtype=F64), torch.tensor([9.0, 9.0, 2.71], dtype=F64))
    code = vol.visibility(depth, camera, EYE, WALL, room)[0, 0]
    assert code.dtype == torch.int8
    assert set(code.unique().tolist()) == {int(c) for c in Visibility}
    ray = code[5, 5]
    assert ray[:10].tolist() == [Visibility.FREE] * 10
    assert ray[10] == Visibility.SURFACE
    assert ray[11:17].tolist() == [Visibility.OCCLUDED] * 6
    assert ray[18:].tolist() == [Visibility.ABOVE_CEILING] * 2
    assert bool((code[0][code[0] != Visibility.SURFACE] == Visibility.OUTSIDE_ROOM).all())
    without = vol.visibility(depth, camera, EYE, WALL)[0, 0]
    assert int(without.min()) == Visibility.OUTSIDE_VIEW
    missing = without == Visibility.MISSING_DEPTH
    uv, _ = project_points(WALL.positions(depth)[missing], camera)
    assert bool(missing.any())
    assert bool((uv[:, 1] <= 19.51).all())


def test_batches_of_views_are_views_one_by_one():
    camera, depth, T = make_camera(80, 60, 2), rand(2, 1, 60, 80, low=1.5, high=2.5), make_motion(2)
    one = [make_camera(80, 60), type(camera)(80, 60, camera.K[1])]
    for function in (
        lambda d, c, t: vol.tsdf_projective(d, c, t, WALL, 0.3)[0],
        lambda d, c, t: vol.tsdf_view_independent(d, c, t, WALL, 0.3)[0],
        lambda d, c, t: vol.visibility(d, c, t, WALL).double(),
    ):
        both = function(depth, camera, T)
        for b in range(2):
            close(both[b : b + 1], function(depth[b : b + 1], one[b], T[b]))


def test_reading_a_volume_at_world_points_is_trilinear():
    def field(p):
        return 1 + 2 * p[..., 0] - 3 * p[..., 1] + p[..., 2] + p[..., 0] * p[..., 1] * p[..., 2]

    volume = field(FRAME.positions(rand(1)))[None, None]
    points = torch.tensor([-0.5, 2.9, 1.1], dtype=F64) + rand(1, 7, 3, low=-0.2, high=0.2)
    values, valid = vol.sample_world(volume, FRAME, points)
    assert values.shape == (1, 1, 7)
    close(values[:, 0], field(points))
    assert bool(valid.all())


def test_silhouettes_of_a_cube_are_its_projection():
    """A full cube seen through the frustum: its outline is that of its corners."""
    frame = VoxelFrame((8, 8, 8), (-0.5, -0.5, -0.5), 0.125)
    eye, target, up = (torch.tensor(x, dtype=F64) for x in ([1.5, 0.9, 0.8], [0.0, 0, 0], [0.0, 0, 1]))
    T_world_cam, camera = look_at(eye, target, up), make_camera(32, 32)
    depths = torch.linspace(0.8, 3.0, 60, dtype=F64)
    seen, _ = vol.world_to_frustum(torch.ones(1, 1, 8, 8, 8, dtype=F64), frame, camera, depths, T_world_cam)
    assert seen.shape == (1, 1, 60, 32, 32)
    mask = seen.amax(2)[0, 0] > 0.5
    ray = vol.frustum_points(camera, torch.linspace(0.8, 3.0, 400, dtype=F64), T_world_cam)[0]
    inside = (ray.abs() <= 0.5).all(-1).any(0)
    assert float((mask & ~inside).double().mean()) < 0.005
    assert float((mask != inside).double().mean()) < 0.04  # trilinear reading rounds the edges off
    assert 0.1 < float(inside.double().mean()) < 0.9


@pytest.mark.parametrize("order", [1, -1])
def test_a_frustum_returns_to_the_world_grid(order):
    """A field linear along the ray and in pixels is carried exactly, for planes in either order."""
    camera, T = make_camera(20, 16), make_motion()
    depths = 1 / torch.linspace(1 / 4.0, 1.0, 40, dtype=F64).sort().values
    depths = depths.flip(0) if order > 0 else depths
    v, u = torch.meshgrid(torch.arange(16, dtype=F64), torch.arange(20, dtype=F64), indexing="ij")
    frustum = (depths[:, None, None] * 2 + 0.1 * u - 0.2 * v)[None, None]
    frame = VoxelFrame((4, 4, 5), (-0.3, -0.3, 1.6), 0.15)
    volume, valid = vol.frustum_to_world(frustum, camera, depths, T, frame)
    uv, z = project_points(transform(se3_inverse(T), frame.positions(depths)), camera)
    expected = z * 2 + 0.1 * uv[..., 0] - 0.2 * uv[..., 1]
    assert float(valid.double().mean()) > 0.9
    close(volume[0, 0][valid[0, 0]], expected[valid[0, 0]])
    with pytest.raises(InputError, match="rising or falling"):
        vol.frustum_to_world(frustum, camera, depths.roll(3), T, frame)


def test_gradients():
    camera, T = make_camera(8, 6), make_motion().requires_grad_()
    frame = VoxelFrame((2, 3, 2), (-0.2, -0.2, 1.5), 0.2)
    depth = rand(1, 1, 6, 8, low=1.6, high=1.9).requires_grad_()
    assert gradcheck(lambda d, t: vol.tsdf_projective(d, camera, t, frame, 0.9)[0], (depth, T))
    volume, points = rand(1, 1, 2, 3, 2).requires_grad_(), (rand(1, 5, 3, low=-0.1, high=0.1)).requires_grad_()
    centre = torch.tensor([0.0, 0.1, 1.7], dtype=F64)
    assert gradcheck(lambda x, p: vol.sample_world(x, frame, p + centre)[0], (volume, points))
    depths = torch.tensor([1.4, 1.7, 2.1], dtype=F64)
    assert gradcheck(lambda x, t: vol.world_to_frustum(x, frame, camera, depths, t)[0], (volume, T))
    frustum = rand(1, 1, 3, 6, 8).requires_grad_()
    assert gradcheck(lambda x, t: vol.frustum_to_world(x, camera, depths, t, frame)[0], (frustum, T))
    assert gradcheck(vol.flip_tsdf, (rand(9).requires_grad_(),))
