"""What the depth papers claim and what this project asks of its small weights, as data for `engine.claims`.

Rows with a dot are ablations: the same method trained or used otherwise, named METHOD.WHAT-IS-OTHERWISE. Those
called short are trained for fewer steps than what ships; METHOD.short is what they compare with.
"""

from __future__ import annotations

from functools import partial

from scenewright.engine.claims import Claim

_SCALED, _BORDERS, _SAME_ROW = "AbsRel scaled", "AbsRel at borders scaled", "WHDR same row"
_rooms = partial(Claim, task="depth", protocol="rooms-test", metric="AbsRel")
_borders = partial(Claim, task="depth", protocol="rooms-borders", metric=_BORDERS)
_pairs = partial(Claim, task="depth", protocol="stereo-rooms-test", metric="AbsRel")
_roads = partial(Claim, task="depth", protocol="roads-test", metric="AbsRel")
_order = partial(Claim, task="depth", protocol="ordinal-rooms-test", metric=_SAME_ROW)
_focus = partial(Claim, task="depth", protocol="focal-rooms-test", metric="MSE")
_sure = partial(Claim, task="depth", protocol="rooms-confidence")

PAPERS: tuple[Claim, ...] = (
    _rooms("a scale-invariant term helps", "Eigen 2014", winner="eigen.short", loser="eigen.short-plain-l2"),
    _borders("the fine network sharpens borders", "Eigen 2014", winner="eigen.short", loser="eigen.short-coarse-alone"),
    _rooms("classifying depth beats regressing it, on one trunk", "Cao 2017", winner="depth_classification",
           loser="fcrn"),
    _rooms("information gain beats the plain log loss", "Cao 2017", winner="depth_classification.short",
           loser="depth_classification.short-plain-log-loss"),
    _rooms("the CRF helps", "Cao 2017", metric=_SCALED, winner="depth_classification",
           loser="depth_classification.without-crf"),
    _borders("the CRF helps at the borders of objects", "Cao 2017", winner="depth_classification",
             loser="depth_classification.without-crf"),
    _sure("errors are small where the classifier is sure", "Cao 2017", metric="surest / least sure",
          winner="depth_classification", limit=0.5),
    _pairs("left-right consistency helps", "Godard 2017", winner="monodepth", loser="monodepth.no-left-right"),
    _pairs("left-right consistency helps against large errors", "Godard 2017", metric="RMSE", winner="monodepth",
           loser="monodepth.no-left-right"),
    Claim("left-right consistency helps at borders", "Godard 2017", "depth", "stereo-rooms-borders", _BORDERS,
          "monodepth", "monodepth.no-left-right"),
    _pairs("post-processing helps", "Godard 2017", winner="monodepth", loser="monodepth.no-post-processing"),
    _pairs("training coarse to fine helps", "Garg 2016", winner="garg", loser="garg.one-level"),
    *(
        _pairs(f"training on to stride {fine} helps beyond stride {coarse}", "Garg 2016", metric=_SCALED, winner=winner,
               loser=f"garg.stride-{coarse}")
        for coarse, fine, winner in ((8, 4, "garg.stride-4"), (4, 2, "garg.stride-2"), (2, 1, "garg"))
    ),
    _roads("laser and stereo beat the laser alone", "Kuznietsov 2017", winner="semi_supervised_depth",
           loser="semi_supervised_depth.supervised"),
    _roads("laser and stereo beat stereo alone", "Kuznietsov 2017", winner="semi_supervised_depth",
           loser="semi_supervised_depth.unsupervised"),
    _order("more than where a point lies decides", "Chen 2016", metric="WHDR", winner="depth_in_the_wild",
           loser="lower-is-nearer"),
    _focus("three quarters less error than classical depth from focus", "Hazirbas 2018", winner="ddff",
           loser="variance-of-laplacian", factor=0.25),
    _focus("a connection at the third stage helps", "Hazirbas 2018", winner="ddff.short",
           loser="ddff.short-no-connection"),
    _focus("up-convolution beats bilinear upsampling", "Hazirbas 2018", winner="ddff.short",
           loser="ddff.short-bilinear"),
    _focus("up-convolution beats unpooling", "Hazirbas 2018", winner="ddff.short", loser="ddff.short-unpool"),
)  # fmt: skip
"""The ranking claims of the papers that small ablations can test."""

_OURS = "this project"
_TRUNK = "from an ImageNet trunk: far below the mean map"
BARS: tuple[Claim, ...] = (
    *(
        _rooms(_TRUNK, _OURS, metric=metric, winner=name, loser="mean-map", factor=0.45)
        for name in ("fcrn", "eigen", "depth_classification") for metric in ("AbsRel", _SCALED)
    ),
    *(
        _pairs("without true depth: clearly below the mean map", _OURS, winner=name, loser="mean-map", factor=0.8)
        for name in ("monodepth", "garg")
    ),
    _roads("sparse laser and stereo: below the mean map", _OURS, winner="semi_supervised_depth", loser="mean-map"),
    _order("pairs on one row, where chance is a half", _OURS, winner="depth_in_the_wild", limit=0.35),
    _focus("half the error of the variance of the Laplacian", _OURS, winner="ddff", loser="variance-of-laplacian",
           factor=0.5),
)  # fmt: skip
"""What the shipped weights must reach on worlds that they have never seen."""

CLAIMS: dict[str, tuple[Claim, ...]] = {"papers": PAPERS, "bars": BARS}
"""By the name of the block that a document shows them in."""
