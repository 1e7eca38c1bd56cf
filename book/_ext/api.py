"""Sphinx extension: the reference of the package, made from its docstrings, with a link to each source line.

Our docstrings are plain text, not reStructuredText: sentences with `code`, indented commands, and aligned lists of
options. The directive `{api-reference}` shows sentences as paragraphs and the rest unchanged.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "tools"))
OPTION = re.compile(r"^\s*(?P<names>[*\w]+(, [*\w]+)*)(: |\s{2,})(?P<text>\S.*)$")


def modules() -> list[str]:
    """Names of the modules in reading order, each before its submodules whose names it does not re-export.

    The order is that of the contract in pyproject.toml that import-linter checks.
    """
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["tool"]["importlinter"][
        "contracts"
    ]
    names = []
    for name in reversed(contract["layers"]):
        names += [name, *(f"{name}.{inner}" for inner in apart(importlib.import_module(f"lulc_utils.{name}")))]
    return names


def apart(package) -> list[str]:
    """Modules of a package with names that the package does not re-export, except its command."""
    handed_on = {thing for _, thing in public(package)}
    inner = [m.name for m in pkgutil.iter_modules(getattr(package, "__path__", []))]
    inner = [name for name in inner if not name.startswith("_") and name != "command"]
    offered = {name: public(importlib.import_module(f"{package.__name__}.{name}")) for name in inner}
    return [name for name, things in offered.items() if things and not handed_on & {thing for _, thing in things}]


def public(module) -> list[tuple[str, object]]:
    """Public functions and classes of a module: its __all__, or else its own names without an underscore."""
    inside = (module.__name__, module.__name__ + ".")
    names = getattr(module, "__all__", None) or [
        name for name, thing in vars(module).items() if str(getattr(thing, "__module__", "")).startswith(inside)
    ]
    # unwrapped: the source of a context manager is ours, not that of contextlib
    things = [(name, inspect.unwrap(getattr(module, name))) for name in names if not name.startswith("_")]
    things = [(name, thing) for name, thing in things if inspect.isclass(thing) or inspect.isfunction(thing)]
    return sorted(things, key=lambda pair: (inspect.getsourcefile(pair[1]), inspect.getsourcelines(pair[1])[1]))


def signature(name: str, thing) -> str:
    """`name(argument, ...)`, one argument per line if it would be long; a plain name for anything without arguments."""
    try:
        whole = inspect.signature(thing)
    except ValueError:
        return name
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in whole.parameters.values()]
    short = name + str(whole.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    short = re.sub(r"<\w+ (\S+) at 0x\w+>", r"\1", short)  # a default that is a function is shown by its name
    return short if len(short) <= 72 else re.sub(r"\((.*)\)$", _one_a_line, short)


def _one_a_line(match: re.Match) -> str:
    """(a, b=(1, 2)) with every argument on its own line; commas inside brackets stay."""
    parts, depth, current = [], 0, ""
    for letter in match[1]:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += letter
    lines = ",\n    ".join([*parts, current.strip()])
    return f"(\n    {lines},\n)"


def words(text: str) -> list[nodes.Node]:
    """Text and `code` as nodes."""
    pieces = re.split(r"`([^`]+)`", " ".join(text.split()))
    return [nodes.literal(p, p) if i % 2 else nodes.Text(p) for i, p in enumerate(pieces) if p]


def described(docstring: str) -> list[nodes.Node]:
    """The blocks of a docstring: paragraphs, lists of options, and indented or drawn text unchanged."""
    blocks = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines = block.splitlines()
        if options := _options(lines):
            blocks.append(options)
        elif all(line.startswith("    ") for line in lines):
            blocks.append(nodes.literal_block(block, inspect.cleandoc("\n" + block), language="text", classes=["wide"]))
        else:
            blocks.append(nodes.paragraph("", "", *words(block)))
    return blocks


def _options(lines: list[str]) -> nodes.definition_list | None:
    """`name   what it does` in aligned columns, or None when the lines are something else."""
    if len(lines) < 2 or not OPTION.match(lines[0]) or not re.match(r"^\s*[*\w, ]+\s{2,}\S", lines[0]):
        return None
    column = OPTION.match(lines[0]).start("text")
    items: list[list[str]] = []
    for line in lines:
        start = OPTION.match(line)
        if start and start.start("text") == column:
            items.append([start["names"], start["text"]])
        elif items and line.startswith(" " * (column - 1)):
            items[-1][1] += " " + line.strip()
        else:
            return None
    options = nodes.definition_list()
    for name, text in items:
        term = nodes.term("", "", nodes.literal(name, name))
        options += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *words(text))))
    return options


def summary(module: str, things: list[tuple[str, object]]) -> nodes.definition_list:
    """The functions and classes of a module, each with the first sentence of its description and a link to the rest."""
    items = nodes.definition_list(classes=["api-summary"])
    for name, thing in things:
        first = re.split(r"[.;:]\s", " ".join((thing.__doc__ or "").split()) + " ", maxsplit=1)[0] + "."
        link = nodes.reference(
            "", "", nodes.literal(name, name), internal=True, refid=nodes.make_id(f"api {module} {name}")
        )
        term = nodes.term("", "", link)
        items += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *words(first))))
    return items


class ApiReference(SphinxDirective):
    """The whole reference as sections: module, function."""

    def run(self) -> list[nodes.Node]:
        """One section for each module."""
        self.env.note_reread()  # the source is outside the book's own files
        return [self.module(name) for name in modules()]

    def module(self, name: str) -> nodes.section:
        """The purpose of a module and its contents."""
        module = importlib.import_module(f"lulc_utils.{name}")
        section = self.section(f"lulc_utils.{name}", nodes.make_id(f"api {name}"))
        section += described(module.__doc__)
        if things := public(module):
            section += summary(name, things)
        for title, thing in things:
            section += self.entry(name, title, thing)
        return section

    def entry(self, module: str, name: str, thing) -> nodes.section:
        """Signature, description and address of one function or class."""
        import stamp

        repository, ref = stamp.repository()
        section = self.section(name, nodes.make_id(f"api {module} {name}"))
        written = signature(name, thing)
        section += nodes.literal_block(written, written, language="python")
        section += described(thing.__doc__ or "")
        path = Path(inspect.getsourcefile(thing)).relative_to(ROOT).as_posix()
        line = inspect.getsourcelines(thing)[1]
        link = nodes.reference(
            "", f"source of {name}", refuri=f"https://github.com/{repository}/blob/{ref}/{path}#L{line}"
        )
        section += nodes.paragraph("", "", link, classes=["api-source"])
        return section

    def section(self, title: str, target: str) -> nodes.section:
        """An empty section with its own title and address."""
        section = nodes.section(ids=[target], names=[])
        section += nodes.title(title, title)
        return section


def setup(app):
    """Register with Sphinx."""
    app.add_directive("api-reference", ApiReference)
    return {"parallel_read_safe": True}
