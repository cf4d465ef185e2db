"""Every number of CNN-SLAM in one place, one small record per stage (defaults: Tateno 2017, Engel 2013, 2014)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ImageConfig:
    """The picture that everything after the network works on.

    Args:
        longest: pixels of the longer side; 320 is the paper's 320 x 240.
        levels: levels of the pyramid, full resolution included.
    """

    longest: int = 320
    levels: int = 4


@dataclass(frozen=True)
class TrackingConfig:
    """Direct image alignment (Tateno 2017, eq. 1-2; Engel 2014, section 3.3).

    Args:
        levels: pyramid levels in order of use; full resolution is never tracked.
        max_points: points per level, drawn once per keyframe.
        gradient_min: grey levels per pixel that a point's gradient must exceed.
        noise_variance: sigma_I^2, grey levels squared.
        huber: threshold in standard deviations.
        iterations: Levenberg-Marquardt steps per level.
        good_share: a frame is tracked if more than this share of the points is seen and fits,
        good_ratio: and more than this share of the seen points fits.
        refresh: frames between rebuilds of the points from the refined depth.
        affine: model a gain and an offset of the exposure.
    """

    levels: tuple[int, ...] = (3, 2, 1)
    max_points: int = 4000
    gradient_min: float = 3.0
    noise_variance: float = 16.0
    huber: float = 1.5
    iterations: int = 15
    good_share: float = 0.04
    good_ratio: float = 0.5
    refresh: int = 3
    affine: bool = True


@dataclass(frozen=True)
class StereoConfig:
    """Frame-wise refinement by small-baseline stereo (Tateno 2017, eq. 10-11; Engel 2013, section 2.2).

    Args:
        gradient_min: 3x3 maximum of the gradient, grey levels per pixel, for a pixel to be searched.
        reach: half the search range in standard deviations of the inverse depth.
        max_px: longest search in pixels.
        max_inverse_depth: nearest depth, 1/m.
        ssd_refined, ssd_first: thresholds on the sum of five squared differences after and before sub-pixel refinement.
        ratio: the second-best match must be this much worse.
        scale_min, scale_max: allowed ratio of the point's depths in the two views.
        noise_variance: sigma_I^2, grey levels squared.
        growth, growth_failed: variance factors after a match and after a failed one.
        failures: consecutive failures after which a pixel starts again from the network's depth.
        floor: smallest relative standard deviation of depth.
    """

    gradient_min: float = 5.0
    reach: float = 2.0
    max_px: int = 30
    max_inverse_depth: float = 20.0
    ssd_refined: float = 1300.0
    ssd_first: float = 5200.0
    ratio: float = 1.5
    scale_min: float = 0.7
    scale_max: float = 1.4
    noise_variance: float = 16.0
    growth: float = 1.01
    growth_failed: float = 1.1
    failures: int = 5
    floor: float = 0.005


@dataclass(frozen=True)
class FusionConfig:
    """Uncertainty and keyframe fusion (Tateno 2017, eq. 5-9), as shares of the depth.

    Args:
        first: standard deviation of a network's depth that nothing can be compared with.
        floor: smallest standard deviation of eq. 6: chance agreement is no certainty.
        own_floor: smallest one that a source is believed about itself.
        process: sigma_p of eq. 7.
        occlusion: a larger disagreement is an occlusion, not an error.
        exact_frame: compare depths in one camera's frame; False is the equation as printed.
        inverse: propagate the variance of the inverse depth; False is the linear ratio of eq. 7.
    """

    first: float = 0.15
    floor: float = 0.05
    own_floor: float = 0.005
    process: float = 0.02
    occlusion: float = 0.45
    exact_frame: bool = True
    inverse: bool = True


@dataclass(frozen=True)
class KeyframeConfig:
    """When a frame becomes a keyframe (Engel 2014, as in its released code).

    Args:
        distance_weight, usage_weight: weights of baseline over depth and of points out of sight; a score above 1 asks.
        gain_weight: weight of |log gain|.
        minimum_frames: frames between two requests.
        maximum_age_s: oldest keyframe while the camera moves.
        latency: frames between asking the network and using its answer; 0 waits for it on the spot.
    """

    distance_weight: float = 4.0
    usage_weight: float = 3.0
    gain_weight: float = 2.0
    minimum_frames: int = 2
    maximum_age_s: float = 2.0
    latency: int = 0


@dataclass(frozen=True)
class HypothesesConfig:
    """Second starts for the tracker.

    Args:
        energy_ratio: an energy above this multiple of the running median asks for a second start.
        features: ORB corners per image.
        reprojection_px: RANSAC threshold of the PnP.
        minimum_inliers: fewest inliers of a usable PnP.
    """

    energy_ratio: float = 1.5
    features: int = 800
    reprojection_px: float = 4.0
    minimum_inliers: int = 12


@dataclass(frozen=True)
class OdometryConfig:
    """Corner tracks with windowed bundle adjustment, an addition to the paper; `enabled=False` is the paper.

    Args:
        enabled: let corner tracks pose the frames; the direct tracker then starts from them and measures exposure.
        corners: tracked at once. spacing_px: least distance between two.
        window_px, fine_px: side of the tracker's window that finds a corner, and of the one that places it.
        likeness, slide_px: a track goes on only where its first look is that alike (normalised cross-correlation) and
            no further from where it was followed to.
        flow_px: median flow since the last view that, or the next frame's, asks for a new one.
        survival: so does a smaller share of tracks.
        window: newest views that move in a local bundle adjustment. fixed: older ones that hold them.
        minimum_inliers, predicted_inliers: fewest corners that make a pose, alone and beside a prediction.
        prior_sd: standard deviation of a network's log depth per corner where `corners` have one, after alignment with
            the map; large, since the errors of neighbouring corners are one and the same, and less where there are
            fewer. Independent sources count by their own.
        parallax_deg: least angle between two rays that triangulate a corner.
        reuse_px, reuse_distance: how near a known point must project to a corner, and how alike (Hamming) they must be.
        global_iterations: of the bundle adjustment over the whole map at the end; 0 = none.
        global_views: views that it moves at once. global_prior: factor on a network's weight there,
            where only the shape of its depth counts, not its scale.
        lens_tolerance: a lens whose focal length the whole map puts further than this (in logs) from the stated one
            takes its place at the end; 0 where it was only guessed, inf never. On walks with exact cameras and exact
            depth the map's own is off by up to 1.8 %.
        bend_tolerance: so does one that moves the corner of the picture by a larger share of its distance from the
            middle; the map knows that far better than the focal length.
    """

    enabled: bool = True
    corners: int = 300
    spacing_px: int = 10
    window_px: int = 21
    fine_px: int = 9
    likeness: float = 0.8
    slide_px: float = 2.0
    flow_px: float = 16.0
    survival: float = 0.7
    window: int = 12
    fixed: int = 12
    minimum_inliers: int = 20
    predicted_inliers: int = 12
    prior_sd: float = 0.5
    parallax_deg: float = 1.0
    reuse_px: float = 8.0
    reuse_distance: int = 48
    global_iterations: int = 30
    global_views: int = 250
    global_prior: float = 0.1
    lens_tolerance: float = 0.03
    bend_tolerance: float = 0.01


@dataclass(frozen=True)
class DensifyConfig:
    """Bending the network's depth to the map at the end, an addition to the paper.

    Args:
        enabled: False leaves the depth as fusion and stereo made it, as in the paper.
        sigmas_px: reach of the interpolation, narrow to wide.
        prior_weight: anchors' weight at which an anchor and the unbent network count alike.
        prior_sd: standard deviation of a network's log depth for which that weight holds; a source that knows its own
            sigma_log gets (prior_sd / sigma_log)^2 as much.
        map_scale_sd: standard deviation of the map's log scale at one keyframe, as an odometry edge has it.
        point_weight: weight of a map point; stereo matches weigh `stereo_weight`.
        clip: largest local correction of log depth.
        minimum_anchors: fewest that are believed.
    """

    enabled: bool = True
    sigmas_px: tuple[float, ...] = (6.0, 16.0, 40.0)
    prior_weight: float = 1.0
    prior_sd: float = 0.15
    map_scale_sd: float = 0.03
    point_weight: float = 1.0
    stereo_weight: float = 0.1
    clip: float = 0.5
    minimum_anchors: int = 12


@dataclass(frozen=True)
class SweepConfig:
    """Judging every keyframe's depth by its neighbours' pictures at the end, an addition to the paper; see `sweep`.

    Args:
        enabled: False leaves the depth as it is, as in the paper.
        width: pixels of the pictures that are compared.
        reach, steps: largest log factor on the depth, and how many steps lead there.
        views: neighbours of a keyframe. best: so many of them judge a pixel, those that like a hypothesis most.
        baseline: best distance of a neighbour, as a share of the depth. angle_deg: sd of its turn.
        window: side of the compared windows. noise: variance of the grey levels' noise.
        prior: cost of each step away from the depth as it is.
        small_jump, large_jump: costs of a jump of one step and of more between two pixels. edge: grey levels that halve
            the cost of the latter.
    """

    enabled: bool = True
    width: int = 240
    reach: float = 0.3
    steps: int = 12
    views: int = 8
    best: int = 4
    baseline: float = 0.12
    angle_deg: float = 18.0
    window: int = 7
    noise: float = 9.0
    prior: float = 0.01
    small_jump: float = 0.1
    large_jump: float = 0.6
    edge: float = 10.0


@dataclass(frozen=True)
class RecoveryConfig:
    """What happens when tracking fails.

    Args:
        energy_ratio: where corners are tracked, the direct tracker alone is believed only below this multiple of the
            running median energy, and never once the camera is lost: it locks to whatever looks alike.
        new_segment_s, new_segment_frames: lost for this long and the first number of frames, or for the second at any
            speed (times may be nominal), a new piece of map begins.
        blank: mean squared gradient below which a picture shows nothing. blur: share of the running median sharpness
            below which a frame is tracked but not mapped.
        bridge_frames: lost frames between two posed ones that are interpolated at the end.
        loops: look for loops at every keyframe, and tie keyframes far apart together in the end.
    """

    energy_ratio: float = 2.5
    new_segment_s: float = 2.0
    new_segment_frames: tuple[int, int] = (8, 24)
    blank: float = 2.0
    blur: float = 0.5
    bridge_frames: int = 5
    loops: bool = True


@dataclass(frozen=True)
class SlamConfig:
    """All of CNN-SLAM's settings; each stage sees only its own part."""

    image: ImageConfig = field(default_factory=ImageConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    stereo: StereoConfig = field(default_factory=StereoConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    hypotheses: HypothesesConfig = field(default_factory=HypothesesConfig)
    odometry: OdometryConfig = field(default_factory=OdometryConfig)
    densify: DensifyConfig = field(default_factory=DensifyConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)

    @classmethod
    def as_printed(cls) -> SlamConfig:
        """The paper without our additions: no corner odometry, no bending or sweeping of the depth."""
        off = DensifyConfig(enabled=False)
        return cls(odometry=OdometryConfig(enabled=False), densify=off, sweep=SweepConfig(enabled=False))
