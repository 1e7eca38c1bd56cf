"""Sphinx extension: the embedded backbone beside the built pages, for the page that computes with it (book/try_it)."""

from pathlib import Path

from lulc_utils import backbone
from lulc_utils.interactive import packed_backbone

SCRIPT = "_static/backbone.js"


def write(app, exception):
    """Write the packed weights; a page loads them when its reader chooses a picture."""
    if exception is None and app.builder.format == "html":
        Path(app.outdir, SCRIPT).write_text(packed_backbone(backbone.load("embedded")), encoding="utf8")


def setup(app):
    """Register with Sphinx."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
