"""The command line as a user meets it: in processes of its own."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from scenewright import __version__
from scenewright.cli import main as cli
from scenewright.errors import InputError

EXISTING = [name for name in cli.COMMANDS if find_spec(f"scenewright.cli.{name}")]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scenewright.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment,
    )


def subcommands(name: str) -> dict[str, object]:
    """Arguments before the options -> function; one row for a command without subcommands."""
    command = import_module(f"scenewright.cli.{name}").command
    return {f"{name} {sub}": function for sub, function in command.items()} if isinstance(command, dict) else {
        name: command
    }  # fmt: skip


ROWS = [(line, function) for name in EXISTING for line, function in subcommands(name).items()]


def test_help_lists_every_command_with_its_summary() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, summary in cli.COMMANDS.items():
        assert any(line.split() == [name, *summary.split()] for line in done.stdout.splitlines()), name


def test_every_listed_command_has_a_module() -> None:
    assert list(cli.COMMANDS) == EXISTING


def test_no_arguments_shows_the_help_and_is_a_mistake() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, cli.usage())


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([flag]) == 0
    assert capsys.readouterr().out == f"scenewright {__version__}\n"


def test_an_unknown_command_is_named() -> None:
    done = run("reconstrct", "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("scenewright: no command 'reconstrct'; one of reconstruct, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("line", "function"), ROWS, ids=[row[0] for row in ROWS])
def test_help_of_a_command_shows_every_option_and_its_default(line: str, function: object) -> None:
    code = (
        "import sys; from scenewright.cli.main import main\n"
        f"try: main({[*line.split(), '--help']!r})\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "print('HEAVY', [m for m in ('torch', 'cv2', 'kornia', 'lightning', 'matplotlib') if m in sys.modules])\n"
    )
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert text.endswith("HEAVY []")
    assert f"usage: scenewright {line}" in text
    for name, parameter in inspect.signature(function).parameters.items():  # type: ignore[arg-type]
        if parameter.default not in (inspect.Parameter.empty, True, False, ()):
            option = "--" + name.replace("_", "-")
            assert option in text, option
            assert f"(default: {parameter.default})" in text, (option, parameter.default)


def test_help_of_the_program_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "scenewright.cli.main", "--help"], capture_output=True, text=True
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert not loaded & {"torch", "numpy", "cv2", "tyro", "rich", "scipy"}


BAD = {
    "a source that is not there": (["reconstruct", "no/such/clip"], "no/such/clip"),
    "a file that is no video": (["reconstruct", "notes.txt"], "notes.txt"),
    "intrinsics that are no numbers": (["reconstruct", "photos", "--intrinsics", "1,2,x"], "--intrinsics"),
    "an unknown way of posing": (["reconstruct", "photos", "--poses", "guess"], "--poses"),
    "a size that is too small": (["reconstruct", "photos", "--size", "8"], "--size"),
    "depth from nowhere": (["reconstruct", "photos", "--depth", "no/such/net"], "no/such/net"),
    "a device that is not there": (["reconstruct", "photos", "--device", "tpu"], "--device"),
    "sensor depth of a source without": (["reconstruct", "photos", "--depth", "sensor"], "--depth sensor"),
    "a scene that is none": (["view", "photos", "--no-browser"], "photos"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder of two pictures and a text file."""
    import cv2
    import numpy as np

    (tmp_path / "photos").mkdir()
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"photos/{number}.png"), np.full((120, 160, 3), 90 + number, np.uint8))
    (tmp_path / "notes.txt").write_text("no video\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_it(case: str, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.rglob("*"))
    arguments, culprit = BAD[case]
    assert cli.main(arguments) == 2
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith(f"scenewright {arguments[0]}: ")
    assert culprit in output.err
    assert "found" in output.err
    assert "expected" in output.err
    assert sorted(place.rglob("*")) == before, "nothing is left behind"


def test_bad_input_in_a_process_of_its_own_shows_a_traceback_only_when_asked(tmp_path: Path) -> None:
    missing = str(tmp_path / "gone.mp4")
    quiet = run("reconstruct", missing)
    assert (quiet.returncode, quiet.stdout, quiet.stderr.count("\n")) == (2, "", 1)
    assert missing in quiet.stderr
    loud = run("reconstruct", missing, SCENEWRIGHT_DEBUG="1")
    assert "Traceback" in loud.stderr
    assert "FormatError" in loud.stderr


@pytest.mark.parametrize("arguments", [["reconstruct", "demo", "--sise", "3"], ["reconstruct", "demo", "--size", "x"]])
def test_a_misspelt_option_exits_with_2_and_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    output = capsys.readouterr()
    assert arguments[2] in output.err + output.out
    assert "Traceback" not in output.err


def raising(error: BaseException) -> object:
    def command() -> int:
        """Fail."""
        raise error

    return command


def test_interrupting_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("scenewright.cli.doctor.command", raising(KeyboardInterrupt()))
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err == "scenewright doctor: interrupted; run the same command again to continue\n"


def test_debug_lets_errors_through(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("scenewright.cli.doctor.command", raising(InputError("x.mp4", "a", "b")))
    monkeypatch.delenv(cli.DEBUG, raising=False)
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == "scenewright doctor: x.mp4: found a; expected b\n"
    monkeypatch.setenv(cli.DEBUG, "1")
    with pytest.raises(InputError):
        cli.main(["doctor"])


def test_a_reader_that_stops_listening_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scenewright.cli.main", "methods", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(60) == 0


def test_methods_as_json_are_the_cards(capsys: pytest.CaptureFixture[str]) -> None:
    from scenewright.engine.table import list_methods, method_class

    assert cli.main(["methods", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list_methods()
    for row in rows:
        card = method_class(row["name"]).card
        assert (row["title"], row["paper_parameters"]) == (card.title, card.paper_parameters)
        assert row["weights"] == "" or len(row["weights"]) == 12


def test_methods_of_one_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "--task", "depth", "--json"]) == 0
    assert {row["task"] for row in json.loads(capsys.readouterr().out)} == {"depth"}
    assert cli.main(["methods"]) == 0
    words = set(capsys.readouterr().out.split())  # columns are as narrow as the terminal: titles fall over lines
    assert {"fcrn", "Deeper", "eigen", "lift"} <= words


def test_doctor_as_json_names_every_dependency_and_agrees_with_its_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = cli.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {frozenset(finding) for finding in findings} == {frozenset({"state", "subject", "detail"})}
    assert {"machine", "torch", "numpy", "shipped weights", "browser"} <= {f["subject"] for f in findings}
    assert {f["state"] for f in findings} <= {"ok", "optional", "missing"}
    assert code == int(any(f["state"] == "missing" for f in findings))


def test_doctor_reports_a_missing_package(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("scenewright.pipelines.doctor.requires", lambda name: ["no-such-thing>=2", "x; extra == 'a'"])
    assert cli.main(["doctor"]) == 1
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["missing", "no-such-thing", "pip", "install", "'no-such-thing>=2'"] in rows


def test_progress_is_shown_on_standard_error_and_ends_complete(capsys: pytest.CaptureFixture[str]) -> None:
    from scenewright.cli.show import progress_bar

    with progress_bar() as progress:
        for done in range(4):
            progress(done, 3, "tracking")
        progress(0, 1, "fusing the map")
    output = capsys.readouterr()
    assert output.out == ""
    assert "tracking" in output.err
    assert "3/3" in output.err
    assert "1/1" in output.err


def test_no_progress_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    from scenewright.cli.show import progress_bar

    with progress_bar():
        pass
    with pytest.raises(InputError), progress_bar():
        raise InputError("x", "a", "b")
    assert capsys.readouterr() == ("", "")
