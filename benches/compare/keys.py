"""Keys, a certificate, and the tokens that requests carry; the making of them is left to mint.py in the virtual environment."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

AUDIENCE = "https://api.test/orders"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
WARM = 1000


@dataclass
class Keys:
    folder: Path
    issuer: str

    def file(self, name):
        return self.folder / name

    def tokens(self, name):
        return (self.folder / f"{name}.tokens").read_text().split()

    def first(self, name):
        with open(self.folder / f"{name}.tokens") as file:
            return file.readline().strip()


def make(tools, folder, issuer, fresh):
    """`fresh`: how many tokens of each algorithm that no gateway has seen."""
    kinds = [f"warm:RS256:{WARM}", f"forged:RS256:{WARM}:forged"]
    for algorithm in ALGORITHMS:
        kinds += [f"good-{algorithm}:{algorithm}:200", f"fresh-{algorithm}:{algorithm}:{fresh.get(algorithm, 1)}"]
        kinds += [f"{flaw}-{algorithm}:{algorithm}:1:{flaw}" for flaw in ("forged", "expired", "noscope")]
    mint = [tools.python, Path(__file__).with_name("mint.py"), folder]
    subprocess.run([*mint, "keys"], check=True)
    count = 2 * WARM + sum(fresh.values())
    print(f"signing {count:,} tokens ...", flush=True)
    subprocess.run([*mint, "tokens", issuer, *kinds], check=True)
    return Keys(folder=folder, issuer=issuer)
