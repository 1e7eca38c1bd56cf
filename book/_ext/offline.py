"""Sphinx extension: the built pages draw their maps without the network.

folium writes pages that load Leaflet from a content network. After the build, Leaflet is copied from the package
`xstatic-leaflet` into the site and every address in the pages is changed to that copy.
"""

import re
import shutil
from pathlib import Path

from xstatic.pkg import leaflet

ADDRESS = re.compile(r"https://cdn\.jsdelivr\.net/npm/leaflet@[\d.]+/dist/(leaflet\.(?:js|css))")


def use_local_leaflet(app, exception):
    """Copy Leaflet into _static and point every page at it, relative to where the page lies."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    target = out / "_static" / "leaflet"
    used = False
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf8")
        to_root = "../" * (len(page.relative_to(out).parts) - 1)
        local, found = ADDRESS.subn(rf"{to_root}_static/leaflet/\1", text)
        if found:
            page.write_text(local, encoding="utf8")
            used = True
    if used:
        shutil.copytree(leaflet.BASE_DIR, target, ignore=shutil.ignore_patterns("*.map", "*src*"), dirs_exist_ok=True)


def setup(app):
    """Register with Sphinx."""
    app.connect("build-finished", use_local_leaflet)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
