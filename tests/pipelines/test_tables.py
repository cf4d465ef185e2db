"""Generated parts of documents: filled from results, refused where they name what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenewright.cli.main import main
from scenewright.depth.claims import CLAIMS
from scenewright.depth.protocols import PROTOCOLS
from scenewright.engine.scoreboard import measured, store
from scenewright.engine.table import list_methods
from scenewright.errors import InputError
from scenewright.pipelines.tables import claims_of, generated, rewrite

BASELINES = {"mean-map", "lower-is-nearer", "variance-of-laplacian", ""}


def put(root: Path, method: str, value: float, protocol: str = "focal-rooms-test") -> None:
    how = PROTOCOLS[protocol]
    store(measured(how, method, {m.name: value for m in how.metrics}), root)


def test_every_claim_names_figures_and_methods_that_exist() -> None:
    methods = {*list_methods("depth"), *list_methods("focus")}
    for claim in (claim for group in CLAIMS.values() for claim in group):
        assert claim.metric in {m.name for m in PROTOCOLS[claim.protocol].metrics}, claim
        assert claim.winner.partition(".")[0] in methods
        assert claim.loser.partition(".")[0] in methods | BASELINES


def test_blocks_are_filled_from_results(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    put(tmp_path, "ddff", 0.1)
    put(tmp_path, "ddff.short", 0.1)
    put(tmp_path, "ddff.short-bilinear", 0.2)
    page = tmp_path / "page.md"
    blocks = (
        "<!-- claims:depth/papers -->\nold\n<!-- /claims -->\n"
        "<!-- across:depth/focal-rooms-test:logRMS -->\n<!-- /across -->\n"
        "<!-- scoreboard:depth/focal-rooms-test -->\n<!-- /scoreboard -->\n"
    )
    page.write_text(blocks)
    assert rewrite(page, tmp_path)
    text = page.read_text()
    assert "| ddff (short) | 0.10000 | ddff (short-bilinear) | 0.20000 | **held** |" in text
    assert "old" not in text
    assert "| ddff | **0.100** |" in text
    assert text.count("**not measured**") == len(CLAIMS["papers"]) - 1
    assert not rewrite(page, tmp_path)
    assert main(["scoreboard", "depth", "--results", str(tmp_path)]) == 0
    assert "### claims: bars" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- claims:depth/rumours -->\n<!-- /claims -->", "no such claims"),
        ("<!-- claims:depth/papers -->\n", "1 opened, 0 closed"),
        ("<!-- across:depth/rooms-test:AbsRel -->\n<!-- /across -->", "no stored AbsRel"),
        ("<!-- across:depth/rooms-test -->\n<!-- /across -->", "1 opened, 1 closed"),
    ],
)
def test_blocks_that_cannot_be_filled(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        generated(text, tmp_path)
    assert claims_of("slam") == {}
