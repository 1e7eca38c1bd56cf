"""Sphinx extension: the first screen of a chapter shows what the chapter shows, and no two folds stand in a row.

A notebook runs from top to bottom, and so its first pictures come after imports and data. On its page

- the output of the cell tagged `lead` stands below the title and the paragraph that follows it (the question or the
  finding), before goals, prerequisites and time; its code stays where it is;
- folded cells that show nothing are one fold when they follow each other. The first such fold is the set-up: it begins
  with the installation and the parameters, and takes up the short sentences between its cells;
- such a cell right above a folded cell that shows something lies in the fold of that one;
- the cells of one solution are one fold;
- the last cell, which saves the numbers of a run to a file, is only in the notebook.
"""

from docutils import nodes

from lulc_utils.literal import counted

SHORT = 200  # characters; a longer paragraph between the cells of the set-up ends it


def is_cell(node: nodes.Node) -> bool:
    """Whether a node is a code cell."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def output_of(cell: nodes.container) -> nodes.container | None:
    """What a cell shows, or None."""
    return next((part for part in cell.children if part.get("nb_element") == "cell_code_output"), None)


def is_quiet(node: nodes.Node) -> bool:
    """Whether a node is a folded cell that shows nothing."""
    return is_cell(node) and node.get("hide_mode") == "input" and output_of(node) is None


def is_plumbing(cell: nodes.container) -> bool:
    """Whether a cell is one of the two that every chapter begins with."""
    return "tag_parameters" in cell["classes"] or cell.astext().lstrip().startswith("try:\n    import lulc_utils")


def lead(app, doctree) -> None:
    """Move the output of the cell tagged `lead` to below the first paragraph of the page."""
    tagged = [n for n in doctree.findall(nodes.container) if is_cell(n) and "tag_lead" in n["classes"]]
    for cell in filter(output_of, tagged):  # one, or none where nothing was run
        shown, page = output_of(cell), doctree.next_node(nodes.section)
        first = next(i for i, node in enumerate(page.children) if isinstance(node, nodes.paragraph))
        cell.remove(shown)
        page.insert(first + 1, nodes.container("", shown, classes=["lead"]))


def gathered(app, doctree) -> None:
    """Make one fold of the set-up, and of every row of folded cells that show nothing."""
    cells = [n for n in doctree.findall(nodes.container) if is_cell(n)]
    plumbing = [cell for cell in cells if is_plumbing(cell)]
    rest = [cell for cell in cells if is_quiet(cell) and not is_plumbing(cell)]
    if plumbing and rest:
        place = rest[0].parent
        for cell in plumbing:
            cell.parent.remove(cell)
            place.insert(place.index(rest[0]), cell)
        fold(row(plumbing[0], SHORT), "Set-up: installation, parameters, and {cells}", "more cell", len(plumbing))
    for cell in [n for n in doctree.findall(nodes.container) if is_cell(n)]:
        if cell.get("hide_mode") == "input" and output_of(cell):
            joined(cell)
    for cell in rest:
        if cell in cell.parent.children and len(cells := row(cell)) > 1:
            fold(cells, "Show the code of {cells}")


def joined(cell: nodes.container) -> None:
    """Put the code of the quiet cells right above a folded cell into the fold of that one."""
    while (at := cell.parent.index(cell)) and is_quiet(above := cell.parent[at - 1]):
        cell.parent.remove(above)
        cell[0].insert(0, above[0].children)


def solutions(app, doctree) -> None:
    """Make one fold of the cells of a solution that follow each other."""
    for cell in [n for n in doctree.findall(nodes.container) if is_cell(n) and "tag_solution" in n["classes"]]:
        above = cell.parent[max(cell.parent.index(cell) - 1, 0)]
        if above is not cell and is_cell(above) and "tag_solution" in above["classes"]:
            cell.parent.remove(cell)
            above += cell.children


def without_saving(app, doctree) -> None:
    """Leave out the last cell of a chapter, which only saves the numbers of a run."""
    cells = [n for n in doctree.findall(nodes.container) if is_cell(n)]
    if cells and is_quiet(cells[-1]) and "results.save(" in cells[-1].astext():
        cells[-1].parent.remove(cells[-1])


def row(first: nodes.Node, short: int = 0) -> list[nodes.Node]:
    """`first` and the quiet cells that follow it, with single paragraphs of less than `short` characters between."""
    after = first.parent.children[first.parent.index(first) :]
    taken = 0
    for i, node in enumerate(after):
        if is_quiet(node) or is_cell(node) and is_plumbing(node):
            taken = i + 1
        elif i > taken or not isinstance(node, nodes.paragraph) or len(node.astext()) >= short:
            break
    return after[:taken]


def fold(parts: list[nodes.Node], name: str, cell: str = "cell", named: int = 0) -> None:
    """Make one folded cell of cells and the sentences between them; `named` of the cells have a name of their own."""
    parent, n = parts[0].parent, sum(map(is_cell, parts)) - named
    folded = nodes.container(nb_element="cell_code", classes=["cell", "gathered"], hide_mode="all")
    folded["prompt_show"] = name.format(cells=counted(n, cell))
    folded["prompt_hide"] = f"Hide {'the set-up' if named else 'the code'}"
    parent.insert(parent.index(parts[0]), folded)
    for part in parts:
        parent.remove(part)
        folded += part.children if is_cell(part) else [part]


def setup(app):
    """Register with Sphinx, after the cells are folded (outputs) and before words are linked."""
    app.connect("doctree-read", lead, priority=110)
    app.connect("doctree-read", without_saving, priority=115)
    app.connect("doctree-read", gathered, priority=120)
    app.connect("doctree-read", solutions, priority=121)
    return {"parallel_read_safe": True}
