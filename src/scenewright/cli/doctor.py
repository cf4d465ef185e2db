"""`scenewright doctor`."""

from __future__ import annotations

import json
from typing import Annotated

import tyro


def command(as_json: Annotated[bool, tyro.conf.arg(name="json")] = False) -> int:
    """Say what this installation can do; exits with 1 when something needed is missing.

    Args:
        as_json: print the findings as JSON.
    """
    from scenewright.pipelines.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{finding.state:<9}{finding.subject:<28}{finding.detail}")
    return int(any(finding.state == "missing" for finding in findings))
