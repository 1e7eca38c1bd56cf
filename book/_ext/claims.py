"""The page "Claims and findings", from book/claims.yml and the result files in book/measured.

No number is typed by hand, and a verdict stops the build when its numbers no longer support it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import chapters

from lulc_utils.literal import as_number
from lulc_utils.tables import FORMATS, signed, span


def lookup(path: str, folder: Path) -> list:
    """The measured values at FILE/KEY/KEY, where * stands for every key; ValueError when there is none."""
    name, *keys = re.sub(r"\s+", " ", path.strip()).split("/")
    file = folder / f"{name}.json"
    if not file.exists():
        raise ValueError(f"claims.yml names {name}.json, which is not in {folder.name}; run the command of that claim.")
    content = json.loads(file.read_text(encoding="utf8"))
    values = [content.get("results", content)]
    for key in keys:
        values = [inner for value in values for inner in _entries(value, key, path)]
    return values


def _entries(value, key: str, path: str) -> list:
    if key == "*" and isinstance(value, dict):
        return list(value.values())
    if isinstance(value, dict) and key in value:
        return [value[key]]
    if isinstance(value, list) and key.isdigit() and int(key) < len(value):
        return [value[int(key)]]
    raise ValueError(f"claims.yml asks for {path}, but there is no '{key}' in the measured results.")


def _first(value) -> float:
    return value[0] if isinstance(value, list) else value


ONE = {  # how a single measured value is written; an interval is [value, low, high]
    "value": span,
    "gain": lambda v: signed(v, 3),
    "difference": signed,
    "points": FORMATS["points"],
    "number": lambda v: as_number(_first(v)),
    "percent": lambda v: f"{100 * _first(v):.0f} %",
    "integer": FORMATS["integer"],
}
MANY = {  # how a list of them is summarized
    "largest": lambda vs: as_number(100 * max(map(_first, vs)), 1, "+"),  # points
    "smallest": lambda vs: as_number(100 * min(map(_first, vs)), 1, "+"),
    "range": lambda vs: " to ".join(as_number(f(map(_first, vs)), 2, "+") for f in (min, max)),
    "count": lambda vs: str(len(vs)),
    "positive": lambda vs: str(sum(_first(v) > 0 for v in vs)),
    "above": lambda vs: str(sum(v[1] > 0 for v in vs)),
    "below": lambda vs: str(sum(v[2] < 0 for v in vs)),
}
# Not Jinja: our paths contain spaces and slashes, so each would need quotes in YAML, and the code would be no shorter.
SLOT = re.compile(r"\{([^{}|]+)\|([a-z]+)\}")


def filled_in(text: str, folder: Path) -> str:
    """The text with every {path|format} replaced by what was measured."""

    def written(match: re.Match) -> str:
        values, how = lookup(match[1], folder), match[2]
        if how in MANY:
            return MANY[how](values)
        if how not in ONE:
            raise ValueError(f"claims.yml uses the format '{how}'; there are {', '.join([*ONE, *MANY])}.")
        if len(values) != 1:
            raise ValueError(f"claims.yml shows {match[1]} as one {how}, but these are {len(values)} values.")
        return ONE[how](values[0])

    return SLOT.sub(written, re.sub(r"\s+", " ", text)).strip()


RULES = {
    "above": lambda v: v[1] > 0,
    "below": lambda v: v[2] < 0,
    "contains": lambda v: v[1] <= 0 <= v[2],
    "all positive": lambda v: _first(v) > 0,
}


def holds(rule: str, folder: Path) -> bool:
    """Is `PATH | RULE`, `PATH | N RULE` (of at least N values) or `PATH > PATH` true of the measured numbers?"""
    if " > " in rule:
        larger, smaller = (_first(lookup(path, folder)[0]) for path in rule.split(" > "))
        return larger > smaller
    path, name = rule.rsplit(" | ", 1)
    number, _, counted = name.partition(" ")
    true = [RULES[counted if number.isdigit() else name](v) for v in lookup(path, folder)]
    return sum(true) >= int(number) if number.isdigit() else all(true)


def settled(entries: list[dict], folder: Path) -> list[dict]:
    """The claims with every verdict as text: of verdicts with an `if`, the first whose rules all hold."""

    def text(verdict: str | list[dict]) -> str:
        if isinstance(verdict, str):
            return verdict
        return next(case["say"] for case in verdict if all(holds(rule, folder) for rule in case.get("if", [])))

    return [
        {**entry, "findings": [{**f, "verdict": text(f["verdict"])} for f in entry["findings"]]} for entry in entries
    ]


# A verdict is free text that begins with one of these words, and a reader sees the sign before it.
SIGNS = {"yes": "✓", "no difference": "≈", "no gain": "≈", "no": "✗"}
PARTLY = "◐"  # any other verdict
KEY = "✓ borne out, ◐ in part, ≈ no difference that we can tell, ✗ not borne out, – not measured."


def sign(verdict: str) -> str:
    """The sign of a verdict, by its first words."""
    return next((s for words, s in SIGNS.items() if re.match(rf"{words}\b", verdict)), PARTLY)


def overview(entries: list[dict]) -> str:
    """One row for each claim: its first verdict on simulated and on real imagery, as a sign and in words."""
    rows = ["```{table}", ":class: cards kinds", "", "| claim | simulated | real |", "|---|---|---|"]
    for entry in by_chapter(entries):
        cells = []
        for kind in ("simulated", "real"):
            verdicts = [f["verdict"] for f in entry["findings"] if f["where"].split(" (")[0] == kind]
            cells.append(f"{sign(verdicts[0])} {verdicts[0]}" if verdicts else "–")
        rows.append(f"| [{title(entry)}](#{anchor(entry)}) | {' | '.join(cells)} |")
    return "\n".join([*rows, "```", "", KEY])


def by_chapter(entries: list[dict]) -> list[dict]:
    """The claims in the order of the chapters."""
    return sorted(entries, key=lambda entry: entry["chapter"])


def title(entry: dict) -> str:
    """The claim as a heading."""
    return entry["claim"].removeprefix("(ours) ").rstrip(".")


def anchor(entry: dict) -> str:
    """The address of a claim on its page."""
    return "claim-" + re.sub(r"\W+", "-", title(entry).lower()).strip("-")[:40]


def differences(entries: list[dict], folder: Path) -> dict[str, dict[str, list[float]]]:
    """{"simulated" or "real": {"what (chapter)": [value, low, high]}}: what the findings name for the chart."""
    kinds = {"simulated": {}, "real": {}}
    for entry in by_chapter(entries):
        for finding in entry["findings"]:
            for name, path in finding.get("chart", {}).items():
                row = f"{name} ({int(entry['chapter'].split('_')[0])})"
                kinds[finding["where"].split(" (")[0]][row] = lookup(path, folder)[0]
    return kinds


def claims(entries: list[dict], folder: Path) -> str:
    """For each claim its source, chapter and command, then a table of findings; ValueError when one is not true."""
    sections, chapter = [], None
    for entry in by_chapter(entries):
        if entry["chapter"] != chapter:
            chapter = entry["chapter"]
            sections.append(f"## Chapter {int(chapter.split('_')[0])}: {chapters.name(chapter)}")
        source = f"{{cite:t}}`{entry['paper']}`" if entry["paper"] else "This book"
        rows = ["```{table}", ":class: cards", "", "| where | finding | in numbers |", "|---|---|---|"]
        for finding in entry["findings"]:
            for rule in finding.get("true_if", []):
                if not holds(rule, folder):
                    raise ValueError(f"'{finding['verdict']}' is no longer true: {rule}. Correct claims.yml.")
            said = f"{sign(finding['verdict'])} **{finding['verdict']}**"
            rows.append(f"| {finding['where']} | {said} | {filled_in(finding['text'], folder)} |")
        sections.append(
            f"({anchor(entry)})=\n### {title(entry)}\n\n"
            f"{source}; measured in {chapters.link(chapter)} with `{entry['command']}`.\n\n" + "\n".join([*rows, "```"])
        )
    return "\n\n".join(sections)
