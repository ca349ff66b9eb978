"""What was measured: for each case and gateway some figures, each a list with one value for every round."""

import statistics
from dataclasses import dataclass, field


_FEW = 30


@dataclass
class Results:
    figures: dict = field(default_factory=dict)  # (case, gateway) -> {name: [value of each round]}
    blocks: dict = field(default_factory=dict)  # (case, gateway) -> {name: [value of each part of a turn]}
    titles: dict = field(default_factory=dict)  # case -> what it is, in the order of the run
    absent: dict = field(default_factory=dict)  # (case, gateway) -> True: it cannot, or what was wrong
    notes: list = field(default_factory=list)

    def put(self, case, gateway, **values):
        kept = self.figures.setdefault((case, gateway), {})
        for name, value in values.items():
            kept.setdefault(name, []).append(value)

    def put_blocks(self, case, gateway, name, values):
        self.blocks.setdefault((case, gateway), {}).setdefault(name, []).extend(values)

    def part(self, case, gateway, name, part):
        """What this part of the blocks are below; None where there are few."""
        values = sorted(self.blocks.get((case, gateway), {}).get(name, []))
        return values[int(part * len(values))] if len(values) >= _FEW else None

    def entitle(self, case, title):
        self.titles.setdefault(case, title)

    def cannot(self, case, gateway):
        self.absent[case, gateway] = True

    def wrong(self, case, gateway, what):
        self.absent[case, gateway] = str(what)
        self.figures.pop((case, gateway), None)
        self.blocks.pop((case, gateway), None)
        print(f"  {case}: {gateway} is left out: {what}", flush=True)

    def is_left_out(self, case, gateway):
        return (case, gateway) in self.absent

    def faults(self):
        return [(key, what) for key, what in self.absent.items() if what is not True]

    def rounds(self, case, gateway, name):
        """A value for each round; none where it was not measured."""
        return self.figures.get((case, gateway), {}).get(name, [])

    def median(self, case, gateway, name):
        """None where it was not measured."""
        values = self.rounds(case, gateway, name)
        return statistics.median(values) if values else None

    def spread(self, case, gateway, name):
        """How far apart the rounds are, as a part of the median."""
        values = self.rounds(case, gateway, name)
        if not values or not statistics.median(values):
            return None
        return (max(values) - min(values)) / statistics.median(values)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            print(f"  note: {text}", flush=True)
