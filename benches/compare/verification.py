"""Where the benchmark `bare` is, which verifies without a gateway: what the bound of (b) is measured in."""

import os

from .tools import TARGET


def find_program(named):
    """The one that is named, or the newest of the release build; None if there is none."""
    if named:
        return named
    built = [path for path in (TARGET / "release" / "deps").glob("bare-*") if not path.suffix and os.access(path, os.X_OK)]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)
