"""When a frame becomes a keyframe (Engel 2014, as in its released code, with terms for exposure and age)."""

from __future__ import annotations

import math

from scenewright.slam.config import KeyframeConfig


def score(distance_m: float, mean_inverse_depth: float, usage: float, gain: float, config: KeyframeConfig) -> float:
    """(4 |t| mean(1/D))^2 + (3 (1 - usage))^2 + gain term: above 1 the keyframe has served its time.

    That is a baseline above a quarter of the mean depth, or two thirds of the points left in sight.
    """
    moved = config.distance_weight * distance_m * mean_inverse_depth
    hidden = config.usage_weight * (1 - usage)
    exposed = config.gain_weight * abs(math.log(gain))
    return moved**2 + hidden**2 + exposed**2


def threshold(keyframes: int) -> float:
    """What the score must exceed when the map has this many keyframes: a young map asks for more of them."""
    return 0.7 * min(0.2 + 0.8 * keyframes / 5, 1.0) if keyframes < 5 else 1.0


def need_keyframe(
    distance_m: float, mean_inverse_depth: float, usage: float, gain: float, frames: int, age_s: float, keyframes: int,
    config: KeyframeConfig,
) -> bool:  # fmt: skip
    """Whether the newest frame should become a keyframe.

    Args:
        distance_m: baseline to the active keyframe. mean_inverse_depth: of the active keyframe, 1/m.
        usage: see `tracking.Alignment`. gain: exposure of the frame relative to the keyframe.
        frames, age_s: since the active keyframe. keyframes: in the map so far.
    """
    if frames < config.minimum_frames:
        return False
    moving = distance_m * mean_inverse_depth > 0.02
    if moving and age_s > config.maximum_age_s:
        return True
    return score(distance_m, mean_inverse_depth, usage, gain, config) > threshold(keyframes)
