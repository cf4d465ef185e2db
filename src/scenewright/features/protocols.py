"""The frozen ways in which features are measured here. A changed word changes the hash: then measure again."""

from __future__ import annotations

from scenewright.engine.scoreboard import Metric, Protocol

SEED = 1
"""Of every random draw in measuring; training draws from other seeds and other pictures."""


def _protocol(name: str, dataset: str, split: str, metrics: tuple[Metric, ...], notes: str) -> Protocol:
    return Protocol(name, "features", dataset, split, "none", "none", "none", "none", metrics, notes)


_HELD_OUT = "scikit-image's photographs camera, coins, moon, page, rocket; rooms of the test split"

PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        _protocol(
            "patches", "64x64 patches in two views each", _HELD_OUT,
            (Metric("FPR95"), Metric("FDR95"), Metric("AP", better="higher")),
            "3000 pairs, half of them matches; views vary by rotation within 12.5 degrees, log scale .175, shear .1, "
            "shift 2.5 px, contrast, brightness, gamma, blur, noise. Classical rows at their best patch size.",
        ),
        _protocol(
            "phototour", "patches of Brown et al. (PhotoTour)", "the pairs of the set's list; stated with the result",
            (Metric("FPR95"), Metric("FDR95"), Metric("AP", better="higher")),
            "m50_100000_100000_0.txt where it is there, else the first list; 64x64 grey patches. Classical rows at "
            "their best patch size.",
        ),
        _protocol(
            "shapes", "synthetic shapes, 160x120", "360 clean and 360 rough pictures of unseen seeds",
            (Metric("AP rough", better="higher"), Metric("AP clean", better="higher"), Metric("error", "px")),
            "A detection counts within 2 px of an unclaimed corner, in score order, pooled; 40 points, 4 px apart.",
        ),
        _protocol(
            "point-sets", "planar point sets, 160x120", "300 pairs of unseen seeds",
            (Metric("corner error", "px", digits=2), Metric("corner error without noise", "px", digits=2)),
            "Mean distance of the four corners; 50 % false points and 1 px jitter, then none. ransac: nearest "
            "neighbours within 20 px, homography by USAC_MAGSAC.",
        ),
        _protocol(
            "photo-homographies", "photographs under homographies, 320x240", _HELD_OUT,
            (
                Metric("matching score", better="higher"), Metric("MMA@3", better="higher"),
                Metric("repeatability@3", better="higher"), Metric("H accuracy@3", better="higher"),
            ),
            "60 pairs: rotation within 90 degrees for six of ten, scale within a fifth, corners within a tenth; varied "
            "colours. 300 points; ratio and mutual test as the method has them; homography by USAC_MAGSAC, 3 px.",
        ),
        _protocol(
            "turned-photographs", "photographs turned and scaled, 320x240", _HELD_OUT,
            (
                Metric("matching score", better="higher"), Metric("repeatability@3", better="higher"),
                Metric("scale within 1.41", better="higher"), Metric("MMA@3", better="higher"),
                Metric("H accuracy@3", better="higher"),
            ),
            "60 pairs: turned by up to 180 degrees, half to twice as large, corners moved up to 4 %, varied colours. "
            "300 points; ratio and mutual test as the method has them; homography by USAC_MAGSAC, 3 px. Scale: of the "
            "points found again, how many at the right one; points without a scale count as of one size.",
        ),
        _protocol(
            "hpatches", "planes photographed from several places (HPatches, Oxford affine)", "stated with the result",
            (
                *(Metric(f"H accuracy@{t}", better="higher") for t in (1, 3, 5)),
                *(Metric(f"MMA@{t}", better="higher") for t in (1, 3, 5)),
                Metric("repeatability@3", better="higher"), Metric("matching score", better="higher"),
            ),
            "Every pair of the set, at most 640 pixels on the longer side; 1000 points; ratio and mutual test as the "
            "method has them; homography by USAC_MAGSAC, 3 px; mean distance of the four corners.",
        ),
        _protocol(
            "sequence-pck", "two frames of an RGB-D sequence with poses", "stated with the result",
            tuple(Metric(name, better="higher") for name in ("PCK@8", "PCK@16", "PCK@8 weak")),
            "Nearest neighbour over a grid of stride 4 for 200 places seen in both; 'weak' = the half of the places "
            "with the least texture (smaller eigenvalue of the structure tensor).",
        ),
        _protocol(
            "room-pairs-pck", "two views of a synthetic room, 0.3 to 1.5 m and 5 to 35 degrees apart",
            "rooms of the test split",
            tuple(Metric(name, better="higher") for name in ("PCK@8", "PCK@16", "PCK@8 weak")),
            "At most 200 pairs, evenly spread; the two cameras differ in exposure, colours and noise. Nearest "
            "neighbour over a grid of stride 4 for 200 places seen in both (depth within 2 %); 'weak' as in "
            "sequence-pck. sift is upright, at one size.",
        ),
        _protocol(
            "real-pairs", "Strecha fountain and castle, Lund door, 7-Scenes redkitchen, Oxford graf",
            "16 pairs each: views with the next two, frames with the next 0.3 m away; graf 1 and 3",
            (
                *(Metric(f"AUC@{t}", better="higher") for t in (10, 5, 20)),
                *(Metric(f"{name} AUC@10", better="higher") for name in ("fountain", "castle", "door", "kitchen")),
                Metric("graf error", "px", digits=1), Metric("matches", better="higher", digits=0),
            ),
            "Pose error: the larger angle of rotation and of direction of translation; AUC@5, 10, 20 degrees are means "
            "over the four sets; five points by USAC_MAGSAC, 1 px, the true cameras; graf: mean distance of the four "
            "corners, homography by USAC_MAGSAC, 3 px, 200 px where there is none. At most 1000 keypoints in pictures "
            "of at most 640 pixels; ratio and mutual test as the method has them. sift is RootSIFT; brief is upright.",
        ),
    )
}  # fmt: skip
"""By name."""
