"""Text from data (names, tags, file names, captions), shown as it is: one function for each place it is drawn in.

A name comes with the file of a stranger. Put into a page, a template, a figure or a terminal without these functions
it can run a script, crash the parser of a formula or move the cursor.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata

Title = str | tuple[str, int]  # of a picture; the number, which is not drawn, tells apart those with one title


def plain(text: object, keep: str = "") -> str:
    """Text for a terminal: control characters and lone surrogates become escapes (`\\x1b`), except those in `keep`."""
    return "".join(repr(c)[1:-1] if c not in keep and unicodedata.category(c) in ("Cc", "Cs") else c for c in str(text))


def as_html(text: object) -> str:
    """Text for an element or a quoted attribute of HTML, and of HTML that folium compiles as a Jinja template."""
    return html.escape(plain(text, keep="\n")).replace("{", "&#123;")


def as_entry(text: object) -> str:
    """Text for an entry of a table in HTML; no line ends within "0.38 to 0.72" or "k-means"."""
    tied = re.sub(r"(?<=\d) to (?=[+\u2212]?\d)", "&nbsp;to&nbsp;", as_html(text))
    return re.sub(r"\b\w-\w+", r'<span style="white-space:nowrap">\g<0></span>', tied)


def as_code(text: object) -> str:
    """Text for HTML in which `words between backticks` are set as code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", as_html(text))


def as_option(text: object) -> str:
    """Text for an option of a folium layer: folium renders it into a script and compiles that script as a template."""
    return plain(text, keep="\n").replace("{", "{% raw %}{{% endraw %}")


def as_label(text: object) -> str:
    """Text for matplotlib: between two `$` it would read a formula; an escaped `\\$` is drawn as `$`."""
    return plain(text, keep="\n").replace("$", r"\$")


def as_number(value: float, digits: int = 2, sign: str = "") -> str:
    """A number for a reader: with a real minus sign, and none before a zero.

    With `sign` "+" it is a difference: also a plus sign, and what is left of zero stays there. -0.0049 is "−0.00":
    "+0.00" would put it (the end of an interval, say) above zero. Zero itself has no sign.
    """
    signed = sign and value != 0
    shown = f"{value:{sign}.{digits}f}" if signed else f"{round(value, digits) + 0.0:.{digits}f}"
    return shown.replace("-", "−")


def as_integer(value: int) -> str:
    """A whole number for a reader, in groups of three: "9 600"."""
    return f"{value:,d}".replace(",", " ")


def counted(n: int, thing: str, plural: str = "") -> str:
    """A number of things: "1 label", "9 600 labels"; `plural` where it is not the singular with an s."""
    return f"{as_integer(n)} {thing if n == 1 else plural or f'{thing}s'}"


def as_cell(text: object) -> str:
    """Text for a cell of a CSV table: a spreadsheet would compute what begins like a formula."""
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def as_json(data: object) -> str:
    """JSON for a `<script>`: nothing in it can end the element or begin a comment. ValueError for NaN or infinity."""
    packed = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return packed.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
