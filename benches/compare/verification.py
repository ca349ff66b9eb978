"""What one bare verification takes in microseconds, for the bound of (b): from criterion's files, or from one that is named."""

import json

from .keys import ALGORITHMS
from .tools import TARGET


def read(named):
    """`named` holds {"RS256": 21.5, ...}. Without, what `cargo bench --bench tokens -- verify_bare` has left, if it has."""
    if named:
        return {name: float(value) for name, value in json.loads(named.read_text()).items()}
    found = {}
    for algorithm in ALGORITHMS:
        try:
            estimates = (TARGET / "criterion" / "verify_bare" / algorithm / "new" / "estimates.json").read_text()
        except OSError:
            continue
        found[algorithm] = json.loads(estimates)["median"]["point_estimate"] / 1000
    return found
