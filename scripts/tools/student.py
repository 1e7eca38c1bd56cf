"""Copies of the chapters for a class.

    python scripts/tools/student.py                  student copies in dist/student: solutions removed, checks kept
    python scripts/tools/student.py --instructor     full copies in dist/instructor: solutions unfolded
    python scripts/tools/student.py 00_start_here    one chapter only

A solution cell is a code cell tagged `solution`. What the student has to write is between its lines
`### BEGIN SOLUTION` and `### END SOLUTION`, and is replaced by a line that raises; a cell without them is replaced
entirely. The check that follows stays. Nothing is hidden in a copy: cell metadata, attachments and outputs are removed,
except for the short outputs that every run must reproduce. So is the link to Colab, because it opens the full chapter.
The markers are nbgrader's; its own ClearSolutions needs a server and a database, and leaves other traces of solutions.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
from pathlib import Path

import nbformat
from run_chapters import NOTEBOOKS, ROOT, chapters

from lulc_utils import cli
from lulc_utils.files import complete_or_absent

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BADGE = re.compile(r"\[[^\]]*\]\(https://colab\.research\.google\.com/[^)]*\)")
NOTE = (
    "*Student copy: the solutions are not in this file. To work on Colab, upload it there "
    "(File, Upload notebook). Replace each line that raises by your own code, then run the check below it.*"
)
KEPT_TAGS = {"parameters", "keep_output", "nbval-check-output", "check"}


def exercise_of(cells: list) -> dict[int, int]:
    """Index of every solution cell -> number of its exercise, from the last heading `### Exercise N` above it."""
    numbers, number = {}, None
    for index, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            for heading in re.finditer(r"^### Exercise (\d+)", cell["source"], re.M):
                number = int(heading[1])
        if "solution" in cell["metadata"].get("tags", []):
            if number is None:
                raise ValueError("A cell is tagged 'solution' but there is no heading '### Exercise N' above it.")
            numbers[index] = number
    return numbers


def split(source: str) -> list[tuple[bool, str]]:
    """Lines of a solution cell as (secret, line); markers are secret. ValueError when they do not pair up."""
    lines = source.splitlines()
    if not any(line.strip() in (BEGIN, END) for line in lines):
        return [(True, line) for line in lines]
    parts, inside = [], False
    for line in lines:
        if line.strip() in (BEGIN, END):
            if inside == (line.strip() == BEGIN):
                raise ValueError(f"'{line.strip()}' without its partner in the solution that begins '{lines[0]}'.")
            inside = not inside
            parts.append((True, line))
        else:
            parts.append((inside, line))
    if inside:
        raise ValueError(f"'{BEGIN}' without its partner in the solution that begins '{lines[0]}'.")
    return parts


def stub(source: str, number: int) -> str:
    """The solution cell as the student gets it: each solution replaced by one line that raises."""
    line_to_replace = (
        f'raise NotImplementedError("Exercise {number}: replace this line by your own code, then run the check below.")'
    )
    marked, lines, before = BEGIN in source, [], False
    for secret, line in split(source):
        starts = line.strip() == BEGIN if marked else secret and not before
        if starts:
            lines.append(line[: len(line) - len(line.lstrip())] * marked + line_to_replace)
        elif not secret:
            lines.append(line)
        before = secret
    return "\n".join(lines)


def secrets(notebook) -> set[str]:
    """Stripped lines that occur only in solutions; lines of up to six characters ('else:') give nothing away."""
    cells, inside, outside = notebook["cells"], set(), []
    solutions = exercise_of(cells)
    for index, cell in enumerate(cells):
        for secret, line in split(cell["source"]) if index in solutions else [(False, cell["source"])]:
            inside.add(line.strip()) if secret else outside.append(line)
    return {line for line in inside if len(line) > 6 and line not in "\n".join(outside)}


def student_copy(notebook):
    """A chapter without its solutions; ValueError if one of their lines is still in the copy."""
    result, solutions = copy.deepcopy(notebook), exercise_of(notebook["cells"])
    result["metadata"] = {k: v for k, v in notebook["metadata"].items() if k in ("kernelspec", "language_info")}
    for index, cell in enumerate(result["cells"]):
        tags = [t for t in cell["metadata"].get("tags", []) if t in KEPT_TAGS]
        figure = cell["metadata"].get("mystnb") if index not in solutions else None
        if index in solutions:
            cell["source"], tags = stub(cell["source"], solutions[index]), ["exercise"]
        cell["metadata"] = ({"tags": tags} if tags else {}) | ({"mystnb": figure} if figure else {})
        cell["source"] = BADGE.sub(NOTE, cell["source"]) if cell["cell_type"] == "markdown" else cell["source"]
        cell.pop("attachments", None)
        if cell["cell_type"] == "code":
            cell["outputs"] = cell["outputs"] if "keep_output" in tags else []
            cell["execution_count"] = None
    text = "\n".join(json.dumps(result, ensure_ascii=ascii_only) for ascii_only in (True, False))
    for line in secrets(notebook):
        if json.dumps(line)[1:-1] in text or json.dumps(line, ensure_ascii=False)[1:-1] in text:
            raise ValueError(f"A line of a solution would reach the student copy: {line}")
    return nbformat.from_dict(result)


def instructor_copy(notebook):
    """A chapter with its solutions visible."""
    result = copy.deepcopy(notebook)
    for cell in result["cells"]:
        if "solution" in cell["metadata"].get("tags", []):
            cell["metadata"] = {"tags": ["solution"]}
    return result


def write(notebook, path: Path) -> Path:
    """Write a valid notebook; the file appears only when complete."""
    nbformat.validate(notebook)
    with complete_or_absent(path) as part:
        part.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    return path


def main() -> int:
    """Write the chosen copies of the chosen chapters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", nargs="*", help="chapters to copy (default: all)")
    parser.add_argument("--instructor", action="store_true", help="full copies instead of student copies")
    parser.add_argument("--out", type=Path, help="folder (default: dist/student or dist/instructor)")
    args = parser.parse_args()
    unknown = sorted(set(args.chapter) - set(chapters()))
    if unknown:
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(chapters())}")
    make, kind = (instructor_copy, "instructor") if args.instructor else (student_copy, "student")
    for chapter in args.chapter or chapters():
        notebook = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
        path = write(make(notebook), (args.out or ROOT / "dist" / kind) / f"{chapter}.ipynb")
        print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    return 0


if __name__ == "__main__":
    sys.exit(cli.exit_status(main))
