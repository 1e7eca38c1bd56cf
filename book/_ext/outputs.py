"""Sphinx extension: what the cells of a page show, made fit for a page.

- A figure comes with twice the pixels of an ordinary screen (lulc_utils.style). A heavy picture of a scene becomes a
  WebP of a quarter of the bytes; charts and small class maps stay as they are.
- The cells that every chapter begins with are folded, so that its first picture comes soon.
- An interactive figure brings its caption along; here it becomes a numbered caption like that of every other figure.
"""

import html
import re
from pathlib import Path

from docutils import nodes
from PIL import Image

HEAVY = 300_000  # bytes from which a picture is packed
QUALITY = 90  # of a packed picture; a flat color is off by 2 of 255 at most
PHONE = 480  # CSS pixels; a wider figure keeps a legible width on a phone and is scrolled there (book.css)
CAPTION = re.compile(r"<figcaption>(.*?)</figcaption>", re.S)


def packed(app, doctree):
    """Mark the wide figures of cells, and pack the heavy ones."""
    for node in doctree.findall(nodes.image):
        if "jupyter_execute" not in node.get("uri", ""):
            continue
        path = Path(app.env.relfn2path(node["uri"], app.env.docname)[1])
        node["classes"] += ["wide"] if int(node.get("width", 0)) > PHONE else []
        if path.suffix == ".png" and path.stat().st_size > HEAVY:
            with Image.open(path) as picture:
                picture.convert("RGB").save(path.with_suffix(".webp"), quality=QUALITY)
            node["uri"] = str(Path(node["uri"]).with_suffix(".webp"))


def folded(app, doctree):
    """Fold what is in every chapter for the machine alone: the cell that installs the package, and the parameters."""
    for node in doctree.findall(nodes.container):
        if node.get("nb_element") == "cell_code" and not node.get("hide_mode"):
            code = node.astext().lstrip()
            if code.startswith("try:\n    import lulc_utils") or "tag_parameters" in node["classes"]:
                what = "parameters" if "tag_parameters" in node["classes"] else "installation"
                node["hide_mode"] = "input"
                node["prompt_show"], node["prompt_hide"] = f"Show the {what}", f"Hide the {what}"


def numbered(app, doctree):
    """Make a numbered figure of every interactive one, with the caption that it brings along."""
    shown = [n for n in doctree.findall(nodes.raw) if n.astext().startswith('<figure class="lulc-figure"')]
    for i, node in enumerate(shown):
        text = node.astext()
        bundle, own = node.parent.parent, CAPTION.search(text)
        figure = nodes.figure("", ids=[f"interactive-{i}"], classes=["interactive"])
        bundle.replace_self(figure)
        caption = nodes.caption("", "", nodes.Text(html.unescape(own[1])))
        figure += [bundle, caption]
        node.replace_self(nodes.raw("", text.replace(own[0], ""), format="html", classes=node["classes"]))


def setup(app):
    """Register with Sphinx, before it collects the pictures and counts the figures (priority 500)."""
    app.connect("doctree-read", packed, priority=100)
    app.connect("doctree-read", folded, priority=100)
    app.connect("doctree-read", numbered, priority=100)
    return {"parallel_read_safe": True}
