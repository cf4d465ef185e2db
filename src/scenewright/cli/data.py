"""`scenewright data check`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from scenewright.pipelines.data_check import Finding


def check(
    path: tyro.conf.Positional[str],
    limit: int = 100,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Say what a data set, a sequence or a depth map is, what it holds, in which units, and what is wrong with it.

    Exit code 0: nothing is wrong; 1: there are problems; 2: nothing is recognised.

    Args:
        path: a file or folder, or KIND:PATH.
        limit: read at most so many items, evenly spaced.
        as_json: print the finding as JSON.
    """
    from scenewright.pipelines.data_check import check_data

    finding = check_data(path, limit)
    print(json.dumps(asdict(finding), indent=2) if as_json else _text(finding))
    return 1 if finding.problems else 0


def _text(f: Finding) -> str:
    lines = [f.kind, f"  items        {f.items}, {f.read} of them read"]
    lines.append("  sizes        " + ", ".join(f"{size} ({count})" for size, count in list(f.sizes.items())[:5]))
    lines.append(f"  truth        {f.unit if f.with_truth else 'none'}")
    lines.append(
        f"  of those     {f.with_truth} with truth, {f.with_camera} with camera, {f.with_right} with right picture"
    )
    for unit, (low, middle, high) in f.range.items():
        lines.append(f"  values       {low:.3g} to {high:.3g} {unit}, median {middle:.3g}")
    if f.known_percent is not None:
        lines.append(f"  known        {f.known_percent:.3g} % of pixels")
    lines += [f"  note         {note}" for note in f.notes]
    lines += [f"  problem      {problem}" for problem in f.problems]
    return "\n".join(lines)


command = {"check": check}
