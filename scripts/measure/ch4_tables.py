"""The tables of chapter 4's grid, from its finished trainings: means with Student's t, differences paired by repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lulc_utils import evaluate, results

ROOT = Path(__file__).resolve().parents[2]
PLAIN, BLIND, DROPOUT, LED = "image only", "two networks", "metadata dropout", "student"
FEW, PERFECT, EVERY, TOLD = "supervised", "perfect teacher", "every label", "told at test time"
UNTOLD = f"{DROPOUT}, told nothing"
LADDER = (FEW, PLAIN, BLIND, UNTOLD, LED, PERFECT, EVERY, DROPOUT, TOLD)
RIVALS = {"one network": PLAIN, "two networks": BLIND, "supervised": FEW}
PAIRS = {
    "over dropout": (LED, UNTOLD),
    "told": (TOLD, PLAIN),
    "pseudo-labels": (PLAIN, FEW),
    "second network": (BLIND, PLAIN),
    "room": (EVERY, FEW),
    "perfect": (PERFECT, PLAIN),
}
CHANGES = ("no distillation", "date only", "place only")
METHODS, LABELS = ("fixmatch", "freematch", "softmatch", "defixmatch"), (4, 16, 64)


class Grid:
    """Scores by repeat of every cell (arm, method, labels, kind)."""

    def __init__(self, records: list[dict]) -> None:
        self.cells: dict[tuple, dict[int, dict]] = {}
        for record in records:
            key = record["arm"], record["method"], record["labels"], record["kind"]
            self.cells.setdefault(key, {})[record["repeat"]] = record

    def of(self, arm: str, method: str = "fixmatch", labels: int = 16, kind: str = "place") -> dict[int, dict]:
        """{repeat: record}; of arms without a method, and of every label, there is one cell for all."""
        if arm in (FEW, EVERY):
            method = "fixmatch"
        return self.cells.get((arm, method, 16 if arm == EVERY else labels, kind), {})

    def scores(self, arm: str, domain: str, what: str = "score", **cell: object) -> dict[int, float]:
        """{repeat: accuracy}."""
        arm, what = (DROPOUT, "untold") if arm == UNTOLD else (arm, what)
        return {r: record[what][domain] for r, record in self.of(arm, **cell).items()}

    def score(self, arm: str, domain: str, **cell: object) -> tuple:
        """(mean, low, high)."""
        return evaluate.mean_interval([*self.scores(arm, domain, **cell).values()])

    def ladder(self, domain: str, kind: str) -> dict[str, tuple]:
        """{arm: (mean, low, high)}, over the repeats that all arms with any have, so that the rungs can be compared."""
        rungs = {arm: scores for arm in LADDER if (scores := self.scores(arm, domain, kind=kind))}
        shared = set.intersection(*map(set, rungs.values()))
        return _known({arm: evaluate.mean_interval([of[r] for r in sorted(shared)]) for arm, of in rungs.items()})

    def gain(self, arm: str, over: str, domain: str, **cell: object) -> tuple:
        """(mean, low, high) of the differences in the repeats that both have."""
        a, b = (self.scores(name, domain, **cell) for name in (arm, over))
        return evaluate.mean_interval([a[r] - b[r] for r in sorted(a.keys() & b.keys())])

    def domains(self, kind: str) -> list[str]:
        """The domains of a kind of world, in order."""
        return next(([*r["score"]] for key, cell in self.cells.items() if key[3] == kind for r in cell.values()), [])


def collect(records: list[dict]) -> None:
    """Write book/measured/pseudo_label_grid.json; cells without two repeats are left out."""
    results.save(ROOT / "book" / "measured" / "pseudo_label_grid.json", "pseudo_label_grid", tables(Grid(records)))


def tables(grid: Grid) -> dict:
    """Everything that the chapter, the claims and the limits read."""
    methods = [m for m in METHODS if len(grid.of(LED, m)) > 1]
    place, season = ({d: kind for d in grid.domains(kind)} for kind in ("place", "season"))
    where = place | {d: kind for d, kind in season.items() if d != "inside"}  # every domain and its kind of world
    counts = [n for n in LABELS if len(grid.of(LED, labels=n)) > 1]
    gains = {
        rival: {m: _known({d: grid.gain(LED, over, d, method=m, kind=where[d]) for d in where}) for m in methods}
        for rival, over in RIVALS.items()
    }
    return {
        "ladder": {d: grid.ladder(d, kind) for d, kind in where.items()},
        "teacher": {d: evaluate.mean_interval([*grid.scores(LED, d, "teacher").values()]) for d in place},
        "gains": {rival: {m: row for m, row in of.items() if row} for rival, of in gains.items()},
        **{n: _known({d: grid.gain(a, b, d, kind=where[d]) for d in where}) for n, (a, b) in PAIRS.items()},
        "labels": {
            str(n): {arm: {d: grid.score(arm, d, labels=n) for d in place} for arm in (FEW, PLAIN, LED)} for n in counts
        },
        "gains by labels": {
            rival: {str(n): row for n in counts if (row := _known({d: grid.gain(LED, b, d, labels=n) for d in place}))}
            for rival, b in RIVALS.items()
        },
        "changes": {c: row for c in CHANGES if (row := _known({d: grid.gain(c, LED, d) for d in place}))},
        "diagnosis": _diagnosis(grid, methods),
        "repeats": {", ".join(map(str, key)): len(cell) for key, cell in grid.cells.items()},
    }


def _known(row: dict[str, tuple]) -> dict:
    """Without the cells that have no interval yet."""
    return {name: interval for name, interval in row.items() if np.isfinite(interval[1])}


def _diagnosis(grid: Grid, methods: list[str]) -> dict:
    """Means over repeats at the end of training, by method and arm."""
    names = ("pseudo_accuracy", "accepted_accuracy", "mask")
    return {
        f"{m}, {arm}": {n: evaluate.mean_interval([r[n] for r in grid.of(arm, m).values()]) for n in names}
        for m in methods
        for arm in (PLAIN, LED)
    }
