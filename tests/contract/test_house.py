"""How the house is built, enforced on the syntax trees of the source: floors, and what may not occur."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import scenewright
from scenewright.engine import table

SOURCE = Path(scenewright.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TASKS = {"depth", "features", "pose", "motion", "views", "shapes", "semantics", "faces", "foundations"}
FLOORS = (
    {"geometry"},
    {"nn"},
    {"scene"},
    {"data", "worlds"},
    {"engine"},
    TASKS,
    {"slam"},
    {"pipelines", "viewer"},
    {"cli"},
)
FLOOR = {folder: height for height, folders in enumerate(FLOORS) for folder in folders}
ONLY_FOR_TYPES = "TYPE_CHECKING"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, module) of every import of ours that ties something at run time, inside functions, too."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ONLY_FOR_TYPES in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide their floor"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def climbs(folder: str, module: ast.Module) -> list[str]:
    """What a module in `folder` imports from a floor above, or from another task."""
    found = []
    for line, name in imports(module):
        parts = name.split(".")
        target = parts[1] if parts[0] == "scenewright" and len(parts) > 1 else ""
        if target not in FLOOR or target == folder:
            continue
        if FLOOR[target] > FLOOR[folder] or (target in TASKS and folder in TASKS):
            found.append(f"line {line}: {folder} imports {name}")
    return found


def test_imports_go_down_only() -> None:
    found = {}
    for path in FILES:
        folder = path.relative_to(SOURCE).parts[0]
        if folder in FLOOR and (rows := climbs(folder, tree(path))):
            found[str(path.relative_to(SOURCE))] = rows
    assert found == {}


@pytest.mark.parametrize(
    ("folder", "source", "count"),
    [
        ("geometry", "from scenewright.nn.resnet import ResNet", 1),
        ("geometry", "import scenewright.depth.fcrn", 1),
        ("geometry", "def f():\n    from scenewright import cli", 1),
        ("geometry", "from scenewright.errors import InputError\nimport torch", 0),
        ("depth", "from scenewright.pose.task import PoseSample", 1),
        ("depth", "from scenewright.depth.task import DepthSample\nfrom scenewright.engine.fit import fit", 0),
        ("engine", "if TYPE_CHECKING:\n    from scenewright.depth.task import X\nelse:\n    import scenewright.cli", 1),
    ],
)
def test_the_rule_itself(folder: str, source: str, count: int) -> None:
    assert len(climbs(folder, ast.parse(source))) == count


def test_every_folder_has_a_floor() -> None:
    folders = {path.relative_to(SOURCE).parts[0] for path in FILES if len(path.relative_to(SOURCE).parts) > 1}
    assert folders - {"assets"} <= FLOOR.keys()


FORBIDDEN = {
    "unpickles or runs what it reads": re.compile(
        r"(?<![\w.])(eval|exec)\(|\b(torch\.load|pickle\.loads?|joblib\.load|yaml\.load)\(|allow_pickle\s*=\s*True"
        r"|\bextractall\(|shell\s*=\s*True"
    ),
    "a path of one machine": re.compile(r"(?<![\w.])/(work|root|home)/"),
    "evasive words": re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError"),
}


ONE_READER = "pipelines/foreign.py"
"""Reads other frameworks' weights behind allow-lists; `torch.load(..., weights_only=True)` may stand there alone."""


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_may_not_occur(what: str) -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{number} {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if FORBIDDEN[what].search(line)
        and not (str(path.relative_to(SOURCE)) == ONE_READER and "torch.load(" in line and "weights_only=True" in line)
    ]
    assert found == [], what


def test_sampling_goes_through_the_one_wrapper() -> None:
    calls = [
        str(path.relative_to(SOURCE))
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id) == "grid_sample"
    ]
    assert {Path(call).parts[0] for call in calls} <= {"geometry"}


def test_public_names_are_documented() -> None:
    public = [
        (f"{path.name}:{node.lineno} {node.name}", ast.get_docstring(node) is not None)
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    undocumented = [name for name, documented in public if not documented]
    assert len(undocumented) <= 0.05 * len(public), undocumented


class TestTable:
    @pytest.mark.parametrize("name", table.list_methods())
    def test_every_row_resolves(self, name: str) -> None:
        cls = table.method_class(name)
        assert cls.card.name == name
        assert name in table.list_methods(cls.card.task)

    def test_no_such_method(self) -> None:
        from scenewright.errors import InputError

        with pytest.raises(InputError, match=r"method: found 'nothing'; expected one of .*fcrn"):
            table.create("nothing")

    def test_other_packages_add_methods_but_do_not_replace_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from importlib.metadata import EntryPoint

        points = [EntryPoint("toy", "toy:Toy", table.GROUP), EntryPoint("fcrn", "toy:Toy", table.GROUP)]
        monkeypatch.setattr(table, "entry_points", lambda group: points if group == table.GROUP else [])
        assert table.create("toy", "paper").config.width == 16
        assert table.method_class("fcrn").__module__ == "scenewright.depth.fcrn"
        assert "toy" in table.list_methods("depth")


@pytest.mark.parametrize("module", ["scenewright", "scenewright.cli.main", "scenewright.engine.table"])
def test_torch_is_imported_only_when_needed(module: str) -> None:
    heavy = "torch", "cv2", "scipy", "numba", "lightning", "kornia", "matplotlib", "trimesh"
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
