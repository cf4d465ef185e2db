"""`scenewright COMMAND ...`: finds the command's module, reads options from its signature, reports errors in one line.

Nothing heavy is imported before a command is known, so that help answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from scenewright import __version__
from scenewright.errors import ScenewrightError

COMMANDS: dict[str, str] = {
    "reconstruct": "a video or a folder of images becomes a 3-D scene with a report",
    "view": "open a reconstructed scene in the browser",
    "depth": "depth maps, previews and point clouds of images",
    "match": "match two photographs: matches, the geometry between them, a picture",
    "localize": "where in a reconstructed scene photographs were taken",
    "train": "train a method",
    "eval": "measure a method by a named protocol",
    "scoreboard": "tables of stored results, printed or written into documents",
    "data": "say what a data set is, what it holds and what is wrong with it",
    "methods": "list the methods, their papers, tasks and shipped weights",
    "worlds": "preview or generate synthetic worlds",
    "export": "write a trained depth network as ONNX",
    "convert": "bring published weights of other frameworks into Scenewright's format",
    "doctor": "say what this installation can do and what is missing",
}
"""Each is a module of this package with a function `command` (or a dict of them) whose signature is its options."""

USAGE = "usage: scenewright [--version] [--help] COMMAND [OPTIONS]\n\nTurns pictures into 3-D scenes.\n\ncommands:\n"
DEBUG = "SCENEWRIGHT_DEBUG"


def usage() -> str:
    """The text of `scenewright --help`."""
    width = max(map(len, COMMANDS)) + 2
    rows = "".join(f"  {name:<{width}}{summary}\n" for name, summary in COMMANDS.items())
    return f"{USAGE}{rows}\n`scenewright COMMAND --help` shows a command's options and defaults.\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 a result that is not good, 2 bad input, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"scenewright {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        sys.stderr.write(f"scenewright: no command {arguments[0]!r}; one of {', '.join(COMMANDS)}\n")
        return 2
    return _run(arguments[0], arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    import tyro

    command = import_module(f"scenewright.cli.{name}").command
    prog = f"scenewright {name}"
    try:
        if isinstance(command, dict):
            code = tyro.extras.subcommand_cli_from_dict(command, args=arguments, prog=prog)
        else:
            code = tyro.cli(command, args=arguments, prog=prog)
        sys.stdout.flush()
        return int(code or 0)
    except BrokenPipeError:  # the reader of a pipe has had enough (`scenewright methods | head -1`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ScenewrightError as error:
        if os.environ.get(DEBUG):
            raise
        sys.stderr.write(f"scenewright {name}: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"scenewright {name}: interrupted; run the same command again to continue\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
