"""The errors a user can cause. Each names what is wrong, what was found and what was expected."""

from __future__ import annotations


class ScenewrightError(Exception):
    """Base of every error that the command line shows as one line; the process then exits with `exit_code`."""

    exit_code = 2


class InputError(ScenewrightError, ValueError):
    """An argument or a file that cannot be used.

    Args:
        subject: the argument or file, by name (`"--voxel"`, `"clip/poses.txt line 3"`).
        found: what was there.
        expected: what would have been right, and what to do.
    """

    def __init__(self, subject: object, found: object, expected: object) -> None:
        super().__init__(f"{subject}: found {found}; expected {expected}")
        self.subject, self.found, self.expected = str(subject), str(found), str(expected)


class FormatError(InputError):
    """A file whose bytes do not follow its format, or that asks for more memory than its format may."""
