"""Scores of depth methods on items whose answer is known."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from scenewright.data.items import FocalStack, OrdinalView, View
from scenewright.depth.crops import restricted
from scenewright.depth.data import disparity_order, reader_samples, room_samples, sample_of, sequence_samples
from scenewright.depth.evaluate import (
    iou_of,
    label_iou,
    method_predictor,
    ordinal_predictor,
    score,
    score_borders,
    score_confidence,
    score_focus,
    score_order,
    score_relations,
    within_border,
)
from scenewright.depth.protocols import PROTOCOLS, STRIDE
from scenewright.depth.task import DepthPrediction, DepthSample, FocalStackSample, OrdinalSample, StereoSample
from scenewright.engine.table import create, list_methods
from scenewright.errors import InputError
from scenewright.geometry.camera import Camera
from scenewright.labels import LABELS

CAMERA = Camera.from_fov(40, 30, 60.0)


def items(count: int = 3) -> Iterator[DepthSample]:
    for k in range(count):
        depth = torch.linspace(1, 3, 1200).reshape(1, 1, 30, 40) * (1 + 0.1 * k)
        labels = torch.zeros(1, 30, 40, dtype=torch.int64)
        labels[:, 15:] = 2
        labels[:, :10] = 3
        yield DepthSample(torch.rand(1, 3, 30, 40), depth, CAMERA, labels)


def test_scores_of_truth_and_of_a_wrong_scale() -> None:
    predictors = {
        "truth": lambda s: s.depth_m[0, 0].numpy(),
        "double": lambda s: 2 * s.depth_m[0, 0].numpy(),
    }
    found = score(predictors, items(), cap_m=10.0)
    assert found["truth"].raw["AbsRel"] == 0
    assert found["double"].raw["AbsRel"] == pytest.approx(1.0)
    assert found["double"].scaled["AbsRel"] == pytest.approx(0, abs=1e-6)
    assert found["double"].scale_spread == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(found["double"].predicted / found["double"].truth, 2, rtol=1e-6)


def test_the_spread_of_the_scale() -> None:
    factors = iter([0.5, 2.0])
    found = score({"x": lambda s: next(factors) * s.depth_m[0, 0].numpy()}, items(2), cap_m=10.0)
    assert found["x"].scale_spread == pytest.approx(np.log(2))


def test_items_without_truth_are_left_out() -> None:
    empty = DepthSample(torch.rand(1, 3, 30, 40), torch.zeros(1, 1, 30, 40), CAMERA)
    found = score({"x": lambda s: s.depth_m[0, 0].numpy()}, [empty, *items(1)], cap_m=10.0)
    assert len(found["x"].per_image) == 1


class Guess:
    """Says floor everywhere, 2 m away."""

    def predict(self, image: torch.Tensor, camera: Camera) -> DepthPrediction:
        labels = torch.zeros(1, len(LABELS), *image.shape[-2:])
        labels[:, 2] = 1
        return DepthPrediction(torch.full((1, 1, *image.shape[-2:]), 2.0), None, labels)


def test_label_iou_counts_known_pixels_only() -> None:
    """15 of 25 labelled rows are floor: IoU 0.6 for floor, 0 for wall; the unknown rows do not count."""
    iou = label_iou(Guess(), items())
    assert iou["floor"] == pytest.approx(15 / 25)
    assert iou["wall"] == 0
    assert iou["mIoU"] == pytest.approx(0.3)


def test_iou_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no pixel"):
        iou_of(np.zeros((12, 12), np.int64))


def test_predictor_of_a_method_gives_its_depth() -> None:
    assert method_predictor(Guess())(next(items())).shape == (30, 40)


def test_protocols_are_distinct_and_have_a_stride() -> None:
    assert len({p.hash for p in PROTOCOLS.values()}) == len(PROTOCOLS)
    assert set(STRIDE) == set(PROTOCOLS)


def test_frames_of_the_demo_clip_become_items() -> None:
    from scenewright.data.assets import demo_clip_path

    first = next(sequence_samples(demo_clip_path(), every=50))
    assert first.image.shape == (1, 3, 240, 360)
    assert first.camera.size == (240, 360)
    assert 0 < float((first.depth_m > 0).float().mean()) < 1
    assert len(list(sequence_samples(demo_clip_path(), every=50))) == 3


def test_rooms_become_training_and_test_items(tmp_path) -> None:
    from scenewright.depth.augment import Augmentation
    from scenewright.depth.data import RoomDepths
    from scenewright.worlds.dataset import RoomFrames, render_shard, shard_path

    render_shard(shard_path(tmp_path, "train", 5), [5], "train", 2, (64, 48))
    frames = RoomFrames(tmp_path, "train")
    item = next(room_samples(frames))
    assert item.image.shape == (1, 3, 48, 64)
    assert item.labels is not None
    data = RoomDepths(frames, Augmentation((48, 32)))
    a = data.draw(0, torch.Generator().manual_seed(3))
    b = data.draw(0, torch.Generator().manual_seed(3))
    c = data.draw(0, torch.Generator().manual_seed(4))
    assert torch.equal(a.image, b.image)
    assert not torch.equal(a.image, c.image)
    assert a.depth_m.shape == (1, 32, 48)
    assert data.record["rooms"] == 1


def view(height: int = 6, width: int = 8, **what) -> View:
    return View("a", np.full((height, width, 3), 51, np.uint8), **what)


def test_an_item_becomes_the_sample_that_it_can_be() -> None:
    plain = sample_of(view())
    assert isinstance(plain, DepthSample)
    assert plain.image[0, 0, 0, 0] == pytest.approx(0.2)
    assert not plain.depth_m.any()
    assert plain.camera.size == (6, 8)
    pair = view(camera=Camera.from_fov(8, 6, 70), right=np.zeros((6, 8, 3), np.uint8), baseline_m=0.5)
    assert isinstance(sample_of(pair), StereoSample)
    assert sample_of(pair).baseline_m.tolist() == [0.5]
    assert isinstance(sample_of(view(right=np.zeros((6, 8, 3), np.uint8))), DepthSample)
    points = np.array([[[0, 1], [5, 7]]])
    ordinal = sample_of(OrdinalView("a", view().image, points, np.array([-1])))
    assert isinstance(ordinal, OrdinalSample)
    assert ordinal.points.shape == (1, 1, 2, 2)


def test_a_reader_is_skipped_through() -> None:
    assert len(list(reader_samples([view()] * 5, every=2))) == 3  # type: ignore[arg-type]


def test_pairs_of_a_disparity_are_clear_and_half_on_one_row() -> None:
    disp = np.random.default_rng(1).uniform(1, 30, (60, 80)).astype(np.float32)
    disp[:, :5] = 0
    found = disparity_order(view(60, 80, disp_px=disp), 200, seed=0)
    first, second = (disp[found.points[:, k, 0], found.points[:, k, 1]] for k in (0, 1))
    assert (np.minimum(first, second) > 0).all()
    assert (np.maximum(first, second) >= 1.05 * np.minimum(first, second)).all()
    np.testing.assert_array_equal(found.relation, np.where(first > second, 1, -1))  # a larger disparity is nearer
    assert (found.points[:100, 0, 0] == found.points[:100, 1, 0]).all()
    again = disparity_order(view(60, 80, disp_px=disp), 200, seed=0)
    np.testing.assert_array_equal(found.points, again.points)
    for flat in (np.zeros((60, 80), np.float32), np.ones((60, 80), np.float32)):
        with pytest.raises(InputError):
            disparity_order(view(60, 80, disp_px=flat), 200, seed=0)


def test_order_is_scored_over_all_pairs() -> None:
    """Depth grows with the column: of four pairs, one on a row is right, one wrong; the tie of the column is wrong."""
    depth = np.broadcast_to(np.arange(8, dtype=np.float32), (6, 8))
    points = np.array([[[0, 1], [0, 5]], [[0, 5], [0, 1]], [[0, 3], [4, 3]], [[1, 1], [2, 6]]])
    sample = sample_of(OrdinalView("a", view().image, points, np.array([1, 1, 1, 1])))
    found = score_order({"x": lambda s: depth}, [sample])["x"]
    assert found == {"WHDR": 0.5, "WHDR same row": 0.5, "WHDR other rows": 0.5}
    with pytest.raises(InputError, match="none that are ordered"):
        score_order({"x": lambda s: depth}, [])


def test_focus_is_scored_where_truth_is() -> None:
    stack = np.zeros((3, 6, 8, 3), np.uint8)
    focus = np.array([0.5, 1, 2], np.float32)
    camera = Camera.from_fov(8, 6, 60)
    truth = np.full((6, 8), 1.4125, np.float32)  # 0.1 px
    samples = [sample_of(FocalStack("a", stack, focus, camera, t)) for t in (truth, 0 * truth)]
    assert isinstance(samples[0], FocalStackSample)
    found = score_focus({"x": lambda s: np.full((6, 8), 0.70625, np.float32)}, samples)["x"]  # type: ignore[arg-type]
    assert found["MSE"] == pytest.approx(0.01, rel=1e-4)
    assert found["badpix"] == 1


def test_a_method_is_not_given_what_it_cannot_use() -> None:
    stack = sample_of(FocalStack("a", np.zeros((3, 6, 8, 3), np.uint8), np.array([1, 2, 3], np.float32), CAMERA))
    with pytest.raises(InputError, match="a focal stack"):
        method_predictor(Guess())(stack)


@pytest.mark.parametrize("name", list_methods("depth"))
def test_every_depth_method_can_be_measured_by_every_depth_protocol(name: str) -> None:
    """Fresh weights of each row of the table, on a pair with truth and on pairs of points."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        predict = method_predictor(create(name, "small"))
    camera = Camera.from_fov(128, 64, 80)
    image = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(1))
    depth = torch.linspace(2, 9, 64).reshape(1, 1, 64, 1).expand(1, 1, 64, 128).contiguous()
    pair = StereoSample(image, image, camera, torch.tensor([0.5]), depth)
    scores = score({name: predict}, restricted([pair], "garg", 80.0), 80.0)[name]
    assert all(np.isfinite(list(scores.raw.values())))
    points = torch.tensor([[[[0, 1], [40, 7]], [[5, 5], [5, 90]]]])
    ordinal = OrdinalSample(image, camera, points, torch.tensor([[-1, 1]]))
    assert 0 <= score_order({name: predict}, [ordinal])[name]["WHDR"] <= 1


def step(jump: float, count: int = 2) -> Iterator[DepthSample]:
    """A step of depth in the middle of pictures of 40 columns; the last picture is flat."""
    for k in range(count):
        depth = torch.ones(1, 1, 30, 40)
        depth[..., 20:] = 1.0 if k == count - 1 else jump
        yield DepthSample(torch.rand(1, 3, 30, 40), depth, CAMERA)


def test_errors_at_borders_count_there_alone() -> None:
    def blurred(sample: DepthSample) -> np.ndarray:
        found = sample.depth_m[0, 0].numpy().copy()
        found[:, 16:24] *= 1.5  # 8 columns, all of them within 3 px of the step but 2
        return found

    found = score_borders({"blurred": blurred, "truth": lambda s: s.depth_m[0, 0].numpy()}, step(2.0), 10.0)
    assert found["truth"] == dict.fromkeys(found["truth"], 0.0)
    assert found["blurred"]["AbsRel at borders"] == pytest.approx(0.5)
    assert found["blurred"]["AbsRel"] == pytest.approx(0.5 * 8 / 40)
    with pytest.raises(InputError, match="no image with a jump"):
        score_borders({"truth": lambda s: s.depth_m[0, 0].numpy()}, step(1.1), 10.0)


class Sure:
    """Right by 0 % on the left half, where it is sure, and wrong by half on the right."""

    def claims(self, sample: DepthSample) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor([0.75] * 4), torch.tensor([True, True, True, False])

    def predict(self, image: torch.Tensor, camera: Camera) -> DepthPrediction:
        left = torch.arange(40).expand(1, 1, 30, 40) < 20
        return DepthPrediction(torch.where(left, 1.0, 1.5), confidence=torch.where(left, 0.9, 0.2))


def test_confidence_that_is_right() -> None:
    flat = list(step(1.0))
    found = score_confidence(Sure(), flat, 10.0)
    assert found["ECE"] == pytest.approx(0, abs=1e-6)
    assert found["AbsRel surest quarter"] == 0
    assert found["AbsRel least sure quarter"] == pytest.approx(0.5)
    assert found["surest / least sure"] == 0
    with pytest.raises(InputError, match="a method without"):
        score_confidence(object(), flat, 10.0)


def pairs_of(values: torch.Tensor, *pairs: tuple[tuple[int, int], tuple[int, int], int]) -> OrdinalSample:
    """A sample whose picture holds its own map in every channel."""
    height, width = values.shape
    points, relation = torch.tensor([[p[:2] for p in pairs]]), torch.tensor([[p[2] for p in pairs]])
    return OrdinalSample(values.expand(1, 3, -1, -1), Camera.from_fov(width, height, 60.0), points, relation)


def read_picture(sample: OrdinalSample) -> np.ndarray:
    return sample.image[0, 0].numpy()


def test_a_white_border_is_not_shown_and_its_values_are_those_beside_it() -> None:
    """Rows and columns 10 to size - 10, counted from 1, as the official code has it."""
    values = torch.arange(40.0)[:, None] + 100 * torch.arange(50.0)
    shown: list[OrdinalSample] = []

    def predict(sample: OrdinalSample) -> np.ndarray:
        shown.append(sample)
        return read_picture(sample)

    found = within_border(predict)(pairs_of(values, ((0, 0), (1, 1), 0)))
    assert shown[0].image.shape[-2:] == shown[0].camera.size == (21, 31)
    assert found.shape == values.shape
    rows, columns = np.clip(np.arange(40), 9, 29), np.clip(np.arange(50), 9, 39)
    np.testing.assert_array_equal(found, rows[:, None] + 100 * columns)
    with pytest.raises(InputError, match="border"):
        within_border(predict)(pairs_of(torch.zeros(19, 40), ((0, 0), (1, 1), 0)))


def test_the_threshold_is_chosen_on_validation_alone_and_kept() -> None:
    values = torch.zeros(40, 40)
    values[20:, 20:] = torch.arange(20.0) / 10
    a, b, c = (20, 20), (20, 23), (20, 29)  # 0, 0.3 and 0.9, all within the border
    validation = [pairs_of(values, (a, b, 0), (a, c, 1), (c, a, -1))]
    test = [
        pairs_of(values, (a, b, 1), (c, b, -1), (a, a, 0), (b, a, 0)),  # the first is called equal, which is wrong
        pairs_of(values, (c, a, 1)),
    ]
    found = score_relations({"picture": read_picture}, validation, test)["picture"]
    assert found == {
        "WKDR": pytest.approx((1 / 4 + 1) / 2),
        "WKDR_eq": 0,
        "WKDR_neq": pytest.approx((1 / 2 + 1) / 2),
        "threshold": pytest.approx(0.31, abs=0.011),
    }


def test_relations_need_pairs_of_points_of_both_kinds() -> None:
    values = torch.zeros(40, 40)
    ordered = [pairs_of(values, ((20, 20), (20, 21), 1))]
    with pytest.raises(InputError, match="no equal pair"):
        score_relations({"picture": read_picture}, ordered, ordered)
    with pytest.raises(InputError, match="DepthSample"):
        score_relations({"x": read_picture}, items(), ordered)


def test_the_map_of_relations_is_the_network_s_own() -> None:
    torch.manual_seed(0)
    method = create("depth_in_the_wild", "small").eval()
    sample = method.example(1, 0)
    own, given = ordinal_predictor(method)(sample), method_predictor(method)(sample)
    np.testing.assert_array_equal(own, method.ordinal_map(sample.image)[0, 0].numpy())
    assert own.std() != pytest.approx(given.std(), rel=0.1)
    assert ordinal_predictor(Guess())(next(items())).shape == (30, 40)
