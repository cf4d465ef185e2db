"""The documents say what the program does: links, commands, options, snippets, fields, attribution."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import scenewright
from scenewright.cli.main import COMMANDS
from scenewright.data.assets import demo_clip_path
from scenewright.depth.protocols import PROTOCOLS
from scenewright.scene import tables
from scenewright.scene.manifest import Manifest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}
MOST_BYTES = 300_000


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_documents_are_there() -> None:
    expected = {"README.md", "CHANGELOG.md", "ASSETS.md"}
    expected |= {
        f"docs/{name}.md" for name in ("architecture", "add-a-method", "scene-folder", "worlds", "conventions")
    }
    assert expected <= TEXTS.keys()


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", TEXTS[page])
    missing = [t for t in targets if "://" not in t and not ((ROOT / page).parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", TEXTS)
def test_python_snippets_parse_and_import_what_exists(page: str) -> None:
    for snippet in fences(TEXTS[page], "python"):
        for node in ast.walk(ast.parse(snippet)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("scenewright"):
                module = import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def command_lines() -> list[tuple[str, str]]:
    rows = []
    for page, text in TEXTS.items():
        lines = [line.split("#")[0].strip() for fence in fences(text, "sh") for line in fence.splitlines()]
        lines += re.findall(r"`(scenewright [^`]+)`", text)
        rows += [(page, line) for line in lines if line.startswith("scenewright ")]
    return rows


def signature(command: object, words: list[str]) -> inspect.Signature:
    function = command[words[0]] if isinstance(command, dict) else command
    return inspect.signature(function)  # type: ignore[arg-type]


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_and_their_options_exist(page: str, line: str) -> None:
    name, *words = shlex.split(line)[1:]
    if name in ("COMMAND", "--help"):
        return
    assert name in COMMANDS
    if find_spec(f"scenewright.cli.{name}") is None:
        pytest.fail(f"{page} names `{line}`, which is not there")
    command = import_module(f"scenewright.cli.{name}").command
    if isinstance(command, dict) and not words:
        return
    known = {"--" + parameter.replace("_", "-") for parameter in signature(command, words).parameters}
    used = {word for word in words if word.startswith("--")} - {"--help", "--json"}
    assert used <= known


def test_the_readmes_table_lists_every_command() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", TEXTS["README.md"], re.MULTILINE) == list(COMMANDS)


def test_scoreboard_blocks_are_whole() -> None:
    text = TEXTS["README.md"]
    names = re.findall(r"<!-- scoreboard:(\S+) -->\n(?:(?!<!-- scoreboard).)*?<!-- /scoreboard -->", text, re.DOTALL)
    assert len(names) == text.count("<!-- scoreboard:") == text.count("<!-- /scoreboard -->")
    assert {"depth/rooms-test", "depth/demo-clip"} <= set(names)
    assert {name.split("/")[1] for name in names if name.startswith("depth/")} <= PROTOCOLS.keys()


def test_figures_in_the_readme_come_from_generated_tables_only() -> None:
    """No number with a unit of speed, error or share outside the generated blocks."""
    text = re.sub(r"<!-- scoreboard.*?/scoreboard -->", "", TEXTS["README.md"], flags=re.DOTALL)
    assert re.findall(r"\d+(?:\.\d+)?\s*(?:%|fps|frames/s|frames per second|dB|cm\b)", text) == []


def test_the_scene_page_names_every_field_and_column() -> None:
    page = TEXTS["docs/scene-folder.md"]
    for field in Manifest("n", "s", "metric", "file").to_json():
        assert f"`{field}`" in page, field
    assert ",".join(tables._COLUMNS) in page
    keyframe = ("id", "index", "time_s", "camera", "T_world_cam", "colour", "depth", "sigma", "labels")
    assert all(f"`{field}`" in page for field in keyframe)


def test_every_embedded_asset_is_attributed() -> None:
    text = TEXTS["ASSETS.md"]
    photos = Path(scenewright.__file__).parent / "assets" / "photos"
    for photo in photos.glob("*.jpg"):
        assert f"`{photo.name}`" in text
    assert "Duzceker" in text
    assert "MIT" in (demo_clip_path() / "LICENSE.txt").read_text() + text
    for library in ("Scopia", "Kator Legaz", "Reallusion", "Blend Swap", "EfficientNet-Lite0", "scikit-image"):
        assert library in text, library


def test_the_changelog_knows_this_version() -> None:
    assert f"## {scenewright.__version__}" in TEXTS["CHANGELOG.md"]


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}
    assert {"rooms.jpg", "truth.jpg", "report.jpg"} <= sizes.keys()
    assert {name for name, size in sizes.items() if size > MOST_BYTES} == set()
