"""Sphinx extension: the reference of the package, made from its docstrings, with a link to each source line.

Our docstrings are plain text, not reStructuredText: sentences with `code`, indented commands, and aligned lists of
options. The directive `{api-reference}` shows sentences as paragraphs and the rest unchanged, for the modules that it
names; each page in book/api has one. `{api-index}` lists these pages with their modules.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "tools"))
OPTION = re.compile(r"^\s*(?P<names>[*\w]+(, [*\w]+)*)(: |\s{2,})(?P<text>\S.*)$")


def layers() -> list[str]:
    """Modules and packages in reading order, that of the contract in pyproject.toml that import-linter checks."""
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["tool"]["importlinter"][
        "contracts"
    ]
    return contract["layers"][::-1]


def modules(names: list[str] | None = None) -> list[str]:
    """Modules and packages (all in reading order by default), each before its submodules that it does not re-export."""
    listed = []
    for name in names or layers():
        listed += [name, *(f"{name}.{inner}" for inner in apart(importlib.import_module(f"lulc_utils.{name}")))]
    return listed


class Page(NamedTuple):
    """A page of the reference: its document, title, first sentence and modules."""

    document: str
    title: str
    sentence: str
    modules: list[str]


def pages() -> list[Page]:
    """The pages in book/api, in the reading order of their first modules."""
    pattern = re.compile(r"# (.+)\n\n(.+)\n\n```\{api-reference\} (.+)\n```\n")
    listed = []
    for path in (ROOT / "book" / "api").glob("*.md"):
        title, sentence, names = pattern.fullmatch(path.read_text(encoding="utf8")).groups()
        listed.append(Page(f"book/api/{path.stem}", title, sentence, names.split()))
    return sorted(listed, key=lambda page: layers().index(page.modules[0]))


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


def summary(items: list[tuple[str, str, str]]) -> nodes.definition_list:
    """(name, address, description): each name a link, with the first sentence of its description."""
    listed = nodes.definition_list(classes=["api-summary"])
    for name, address, text in items:
        first = re.split(r"(?<!\bal)[.;]\s", " ".join(text.split()) + " ", maxsplit=1)[0].rstrip(".: ") + "."
        to = {"refid": address[1:]} if address.startswith("#") else {"refuri": address}
        term = nodes.term("", "", nodes.reference("", "", nodes.literal(name, name), internal=True, **to))
        listed += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *words(first))))
    return listed


class ApiIndex(SphinxDirective):
    """The pages of the reference, with the modules on each."""

    def run(self) -> list[nodes.Node]:
        """One section for each page."""
        self.env.note_reread()
        return [self.page(page) for page in pages()]

    def page(self, page: Page) -> nodes.section:
        """Title, sentence and modules of a page."""
        address = self.env.app.builder.get_relative_uri(self.env.docname, page.document)
        link = nodes.reference("", page.title, refuri=address, internal=True)
        section = nodes.section("", nodes.title("", "", link), ids=[nodes.make_id(page.title)], names=[])
        section += nodes.paragraph("", "", *words(page.sentence))
        names = modules(page.modules)
        texts = [importlib.import_module(f"lulc_utils.{name}").__doc__ for name in names]
        targets = [f"{address}#{nodes.make_id(f'api {name}')}" for name in names]
        section += summary(list(zip(names, targets, texts, strict=True)))
        return section


class ApiReference(SphinxDirective):
    """The reference of some modules as sections: module, function."""

    required_arguments, final_argument_whitespace = 1, True

    def run(self) -> list[nodes.Node]:
        """One section for each module."""
        self.env.note_reread()  # the source is outside the book's own files
        return [self.module(name) for name in modules(self.arguments[0].split())]

    def module(self, name: str) -> nodes.section:
        """The purpose of a module and its contents."""
        module = importlib.import_module(f"lulc_utils.{name}")
        section = self.section(f"lulc_utils.{name}", nodes.make_id(f"api {name}"))
        section += described(module.__doc__)
        if things := public(module):
            targets = [f"#{nodes.make_id(f'api {name} {title}')}" for title, _ in things]
            texts = [thing.__doc__ or "" for _, thing in things]
            section += summary([(title, *rest) for (title, _), *rest in zip(things, targets, texts, strict=True)])
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
    app.add_directive("api-index", ApiIndex)
    return {"parallel_read_safe": True}
