"""Which cells of a notebook must run before some others can: a slice by names, so that tests need not run it all."""

import ast
import symtable

COMPREHENSIONS = {"listcomp", "setcomp", "dictcomp", "genexpr"}


def root(node):
    """The name at the bottom of x.a[0].b, or None."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def inner(table, deferred=False):
    """Names of the notebook that functions and comprehensions use, as (name, only when called)."""
    for child in table.get_children():
        later = deferred or child.get_name() not in COMPREHENSIONS
        yield from ((s.get_name(), later) for s in child.get_symbols() if s.is_global() and s.is_referenced())
        yield from inner(child, later)


def touched(statement):
    """Names whose value a statement may change in place: x[...] = ..., x |= ..., x.method() on its own."""
    for node in ast.walk(statement):
        if isinstance(node, ast.AugAssign):
            yield root(node.target)
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield root(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if isinstance(node.value.func, ast.Attribute):
                yield root(node.value.func)


def blocks(statement):
    """The alternatives of a compound statement, of which one is run; [] for a simple statement."""
    if isinstance(statement, ast.For | ast.While | ast.With):
        return [statement.body]
    if isinstance(statement, ast.If):
        return [statement.body, statement.orelse]
    if isinstance(statement, ast.Try):
        return [statement.body + statement.orelse, *(handler.body for handler in statement.handlers)]
    return []


def header(statement):
    """A compound statement without what is in it; a simple one as it is."""
    if not blocks(statement):
        return statement
    empty = {"body": [ast.Pass()], "orelse": [], "finalbody": [], "handlers": []}
    fields = {name: empty.get(name, value) for name, value in ast.iter_fields(statement)}
    return ast.With([], [ast.Pass()]) if isinstance(statement, ast.Try) else type(statement)(**fields)


def visit(statements, cell, known):
    """Note in `cell` what statements use and change; returns the names `known` after them, set by the cell itself."""
    known = set(known)
    for statement in statements:
        if not isinstance(statement, ast.Try):
            table = symtable.symtable(ast.unparse(ast.fix_missing_locations(header(statement))), "cell", "exec")
            within, symbols = list(inner(table)), table.get_symbols()
            assigned = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}
            used = {s.get_name() for s in symbols if s.is_referenced()} | {name for name, _ in within}
            augmented = {root(statement.target)} if isinstance(statement, ast.AugAssign) else set()
            targets = assigned if blocks(statement) else set()  # a loop sets its names before it uses them
            cell["needed"] |= (used | augmented) - targets - known
            cell["called"] |= {name for name, later in within if later}
            cell["changed"] |= assigned | set(touched(header(statement)))
            cell["imported"] |= {s.get_name() for s in symbols if s.is_imported()}
            known |= assigned
        after = [visit(block, cell, known) for block in blocks(statement)]
        known = set.intersection(*after) if after else known
    return known


def names(source):
    """What a cell needs from before, needs when its functions are called, changes, imports, and sets in any case."""
    cell = {kind: set() for kind in ("needed", "called", "changed", "imported")}
    cell["anew"] = visit(ast.parse(source).body, cell, set())
    return cell


def needed(cells, last):
    """The cells (sources) that the sources `last` need, directly or through others, in their order."""
    found = [names(source) for source in cells]
    modules = set().union(*(f["imported"] for f in found))
    final, kept = set().union(*(names(source)["needed"] for source in last)), None
    while True:  # what a function needs when it is called may be set below the function
        wanted, now = set(final), set()
        for i in reversed(range(len(cells))):
            if wanted & ((found[i]["changed"] - modules) | found[i]["imported"]):
                now.add(i)
                wanted = (wanted - found[i]["anew"]) | found[i]["needed"]
        called = set().union(*(found[i]["called"] for i in now))
        if now == kept:
            return [cells[i] for i in sorted(now)]
        final, kept = final | called, now
