"""The scoreboard: figures guarded by hashes, no comparing of what cannot be compared, tables that cannot go stale."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenewright.engine import scoreboard
from scenewright.engine.scoreboard import Metric, Protocol, Result, measured
from scenewright.errors import FormatError, InputError

ROOT = Path(__file__).parents[2]
ROOMS = Protocol(
    name="rooms-val",
    task="depth",
    dataset="rooms",
    split="validation",
    crop="none",
    cap="10 m",
    scaling="none",
    alignment="none",
    metrics=(Metric("AbsRel"), Metric("delta1", better="higher"), Metric("time", "ms", digits=0)),
)


def result(method: str, *figures: float, protocol: Protocol = ROOMS, **others: Any) -> Result:
    return measured(protocol, method, dict(zip([m.name for m in protocol.metrics], figures)), **others)


class TestHash:
    def test_it_is_the_same_on_every_machine(self) -> None:
        assert ROOMS.hash == "dabbb5eff6ad"

    @pytest.mark.parametrize("name", [f.name for f in fields(Protocol) if f.name != "metrics"])
    def test_every_field_is_in_it(self, name: str) -> None:
        assert replace(ROOMS, **{name: "other"}).hash != ROOMS.hash

    @pytest.mark.parametrize("change", [{"digits": 2}, {"unit": "m"}, {"better": "higher"}, {"name": "SqRel"}])
    def test_every_metric_is_in_it(self, change: dict[str, Any]) -> None:
        metrics = (replace(ROOMS.metrics[0], **change), *ROOMS.metrics[1:])
        assert replace(ROOMS, metrics=metrics).hash != ROOMS.hash

    @given(st.permutations(ROOMS.metrics))
    def test_so_is_their_order(self, metrics: list[Metric]) -> None:
        assert (replace(ROOMS, metrics=tuple(metrics)).hash == ROOMS.hash) == (tuple(metrics) == ROOMS.metrics)


class TestRefusals:
    @pytest.mark.parametrize("given", ["", "0" * 12])
    def test_no_result_without_its_protocol_s_hash(self, given: str) -> None:
        with pytest.raises(InputError, match=r"protocol hash: found .*measure again"):
            replace(result("fcrn", 0.1, 0.9, 5.0), protocol_hash=given)

    def test_figures_must_be_those_of_the_protocol(self) -> None:
        with pytest.raises(InputError, match=r"figures: found \['AbsRel'\]; expected \['AbsRel', 'delta1', 'time'\]"):
            result("fcrn", 0.1)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_figures_must_be_numbers(self, value: float) -> None:
        with pytest.raises(InputError, match=r"delta1: found .*; expected a finite float"):
            result("fcrn", 0.1, value, 5.0)

    @pytest.mark.parametrize("name", ["", "../fcrn", "FCRN", "a/b", ".hidden"])
    def test_names_stay_inside_their_folder(self, name: str) -> None:
        with pytest.raises(InputError, match="lower-case"):
            result(name, 0.1, 0.9, 5.0)
        with pytest.raises(InputError, match="lower-case"):
            replace(ROOMS, name=name)

    @pytest.mark.parametrize("metrics", [(), (Metric("a"), Metric("a", "m"))])
    def test_metrics_have_different_names(self, metrics: tuple[Metric, ...]) -> None:
        with pytest.raises(InputError, match="different names"):
            replace(ROOMS, metrics=metrics)

    def test_nothing_compares_across_protocols(self, tmp_path: Path) -> None:
        here, there = result("a", 0.1, 0.9, 5.0), result("b", 0.1, 0.9, 5.0, protocol=replace(ROOMS, cap="80 m"))
        for compare in (lambda: scoreboard.better(here, there), lambda: scoreboard.table([here, there])):
            with pytest.raises(InputError, match=r"protocol: found rooms-val \(.*\) of b; expected rooms-val"):
                compare()
        scoreboard.store(here, tmp_path)
        with pytest.raises(InputError, match="of a; expected"):
            scoreboard.store(there, tmp_path)

    def test_nothing_compares_across_data(self, tmp_path: Path) -> None:
        """Results from before data had a hash still stand beside those of today."""
        old = result("a", 0.1, 0.9, 5.0, data={"items": 9})
        here, there = (result(name, 0.1, 0.9, 5.0, data={"items": 9, "sha256": 64 * name}) for name in "bc")
        assert (old.data_sha256, here.data_sha256) == ("", 64 * "b")
        scoreboard.table([old, here])
        for compare in (lambda: scoreboard.better(here, there), lambda: scoreboard.table([here, there])):
            with pytest.raises(InputError, match=r"data sha256: found c{12} of c; expected b{12} of b: measure all"):
                compare()
        scoreboard.store(old, tmp_path)
        scoreboard.store(here, tmp_path)
        with pytest.raises(InputError, match="data sha256"):
            scoreboard.store(there, tmp_path)
        assert [r.method for r in scoreboard.read_all(tmp_path / "depth" / "rooms-val")] == ["a", "b"]

    @pytest.mark.parametrize("value", ["abc", 7, None, 64 * "g", 64 * "A"])
    def test_a_hash_of_data_is_a_hash(self, value: Any) -> None:
        with pytest.raises(InputError, match="64 hexadecimal digits"):
            result("a", 0.1, 0.9, 5.0, data={"sha256": value})

    def test_empty_tables(self) -> None:
        with pytest.raises(InputError, match="no results"):
            scoreboard.table([])


class TestFiles:
    def test_round_trip_and_place(self, tmp_path: Path) -> None:
        stored = result("fcrn", 0.125, 1.0, 17.0, weights_sha256="ab", seed=3, data={"items": 9}, machine="2 cores")
        path = scoreboard.store(stored, tmp_path)
        assert path == tmp_path / "depth" / "rooms-val" / "fcrn.json"
        assert scoreboard.read(path) == stored
        assert scoreboard.read_all(path.parent) == [stored]

    def test_a_changed_protocol_makes_stored_figures_unreadable(self, tmp_path: Path) -> None:
        path = scoreboard.store(result("fcrn", 0.1, 0.9, 5.0), tmp_path)
        path.write_text(path.read_text().replace("10 m", "20 m"))
        with pytest.raises(FormatError, match="protocol hash"):
            scoreboard.read(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.pop("protocol_hash"), "protocol_hash"),
            (lambda d: d.pop("figures"), "figures"),
            (lambda d: d.update(extra=1), "extra"),
            (lambda d: d["protocol"].update(cap=10), r"protocol\.cap: found 10; expected str"),
            (lambda d: d["figures"].update(AbsRel="0.1"), "finite float"),
        ],
    )
    def test_malformed(self, tmp_path: Path, change: Any, message: str) -> None:
        path = scoreboard.store(result("fcrn", 0.1, 0.9, 5.0), tmp_path)
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))
        with pytest.raises(FormatError, match=message):
            scoreboard.read(path)

    @pytest.mark.parametrize("text", ["", "[]", "{", " " * (2 << 20)])
    def test_no_result_at_all(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "x.json"
        path.write_text(text)
        with pytest.raises(FormatError, match=r"x\.json"):
            scoreboard.read(path)

    def test_figures_beyond_the_protocol_are_left_out(self) -> None:
        figures = {"AbsRel": 1, "delta1": 0.5, "time": 3.0, "SqRel": 7.0}
        assert measured(ROOMS, "fcrn", figures).figures == {"AbsRel": 1.0, "delta1": 0.5, "time": 3.0}


class TestTables:
    def test_best_first_best_bold_baselines_italic(self) -> None:
        rows = [
            result("mean-map", 0.4, 0.3, 0.1, baseline=True),
            result("eigen", 0.2, 0.7, 62.0),
            result("fcrn", 0.1204, 0.6, 345.4),
            result("twin", 0.1203, 0.5, 9.0),
        ]
        lines = scoreboard.table(rows).splitlines()
        assert lines[:6] == [
            "| method | AbsRel ↓ | delta1 ↑ | time [ms] ↓ |",
            "| --- | ---: | ---: | ---: |",
            "| twin | **0.120** | 0.500 | 9 |",
            "| fcrn | **0.120** | 0.600 | 345 |",
            "| eigen | 0.200 | **0.700** | 62 |",
            "| *mean-map* | 0.400 | 0.300 | **0** |",
        ]
        assert lines[7].endswith(f"Protocol `rooms-val` {ROOMS.hash}; baselines in italics.")

    def test_better_knows_the_direction(self) -> None:
        a, b = result("a", 0.1, 0.5, 5.0), result("b", 0.2, 0.9, 5.0)
        assert scoreboard.better(a, b)
        assert not scoreboard.better(b, a)
        assert scoreboard.better(b, a, "delta1")
        assert not scoreboard.better(a, b, "time")
        with pytest.raises(InputError, match="metric: found 'SqRel'"):
            scoreboard.better(a, b, "SqRel")

    def test_where_a_baseline_wins_is_said_by_the_figures(self) -> None:
        rows = [
            result("sift", 0.2, 0.8, 5.0, baseline=True), result("orb", 0.1, 0.9, 1.0, baseline=True),
            result("lift", 0.25, 0.85, 5.0), result("ucn", 0.22, 0.7, 9.0),
        ]  # fmt: skip
        assert scoreboard.compared(rows, "sift") == (
            "Against the best learned method in each column, `sift` wins AbsRel (0.200; ucn 0.220), time (5; lift 5); "
            "it loses delta1 (0.800; lift 0.850).\n"
        )
        with pytest.raises(InputError, match="comparison with surf"):
            scoreboard.compared(rows, "surf")
        with pytest.raises(InputError, match="a learned method"):
            scoreboard.compared(rows[:2], "sift")

    def test_sentences_are_filled_beside_tables(self, tmp_path: Path) -> None:
        for row in (result("sift", 0.2, 0.8, 5.0, baseline=True), result("lift", 0.1, 0.9, 1.0)):
            scoreboard.store(row, tmp_path)
        text = "a\n<!-- compared:depth/rooms-val/sift -->\nold\n<!-- /compared -->\nb\n"
        filled = scoreboard.filled(text, tmp_path)
        assert "old" not in filled
        assert "`sift` loses AbsRel (0.200; lift 0.100)" in filled
        assert scoreboard.filled(filled, tmp_path) == filled
        with pytest.raises(InputError, match="compared blocks"):
            scoreboard.filled("<!-- compared:depth/rooms-val/sift -->", tmp_path)

    def test_blocks_are_filled_and_the_rest_stays(self, tmp_path: Path) -> None:
        scoreboard.store(result("fcrn", 0.1, 0.9, 5.0), tmp_path)
        text = scoreboard.filled(
            "# T\n<!-- scoreboard:depth/rooms-val -->\nstale\n<!-- /scoreboard -->\nend\n", tmp_path
        )
        assert text.startswith("# T\n<!-- scoreboard:depth/rooms-val -->\n| method |")
        assert text.endswith("<!-- /scoreboard -->\nend\n")
        assert "stale" not in text
        assert scoreboard.filled(text, tmp_path) == text

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("<!-- scoreboard:depth/none -->\n<!-- /scoreboard -->", "no stored results"),
            ("<!-- scoreboard:depth/none -->\n", "1 opened, 0 closed"),
            ("<!-- /scoreboard -->\n", "0 opened, 1 closed"),
            ("<!-- scoreboard:../secret -->\n<!-- /scoreboard -->", "TASK/PROTOCOL"),
        ],
    )
    def test_bad_blocks(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            scoreboard.filled(text, tmp_path)


class TestRepository:
    def test_tables_equal_the_stored_results(self) -> None:
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
            text = page.read_text("utf-8")
            assert scoreboard.filled(text, ROOT / "results") == text, f"run `scenewright scoreboard` on {page}"

    def test_stored_results_are_sound_and_in_their_place(self) -> None:
        for path in sorted((ROOT / "results").glob("*/*/*.json")):
            stored = scoreboard.read(path)
            place = (stored.protocol.task, stored.protocol.name, f"{stored.method}.json")
            assert path.parts[-3:] == place
            assert stored.data_sha256, f"{path} does not say which data it was measured on"
        for folder in sorted((ROOT / "results").glob("*/*/")):
            scoreboard.table(scoreboard.read_all(folder))

    def test_figures_belong_to_the_weights_that_ship(self) -> None:
        from scenewright.engine import weights

        for name in weights.list_weights():
            shipped = weights.read_card(weights.find(name))["tensors"]["sha256"]
            for path in (ROOT / "results").glob(f"*/*/{name}.json"):
                assert scoreboard.read(path).weights_sha256 == shipped, f"{path} was measured with other weights"
