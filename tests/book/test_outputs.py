"""What cells show on a page: heavy pictures are packed, wide ones marked, captions of interactive ones numbered."""

from types import SimpleNamespace

import numpy as np
import outputs
from docutils import nodes
from docutils.utils import new_document
from PIL import Image

FIGURE = '<figure class="lulc-figure" data-kind="x"><p>a</p><figcaption>Fast &amp; small</figcaption></figure>'


def app_in(folder):
    env = SimpleNamespace(docname="page", relfn2path=lambda uri, doc: (uri, str(folder / uri)))
    return SimpleNamespace(env=env)


def test_a_noisy_picture_becomes_a_small_webp_and_a_flat_one_stays(tmp_path):
    (tmp_path / "jupyter_execute").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "jupyter_execute" / "noise.png")
    Image.fromarray(np.full((400, 600, 3), 90, np.uint8)).save(tmp_path / "jupyter_execute" / "flat.png")
    document = new_document("page")
    document += [nodes.image(uri=f"jupyter_execute/{n}.png", width=w) for n, w in (("noise", "700"), ("flat", "300"))]
    document += nodes.image(uri="logo.png")
    outputs.packed(app_in(tmp_path), document)
    noise, flat, logo = document.findall(nodes.image)
    assert (noise["uri"], flat["uri"], logo["uri"]) == (
        "jupyter_execute/noise.webp", "jupyter_execute/flat.png", "logo.png",
    )  # fmt: skip
    assert "wide" in noise["classes"] and "wide" not in flat["classes"]
    file = tmp_path / "jupyter_execute" / "noise.webp"
    assert file.stat().st_size < (tmp_path / "jupyter_execute" / "noise.png").stat().st_size / 2


def test_the_caption_of_an_interactive_figure_becomes_that_of_a_numbered_one():
    document = new_document("page")
    bundle, container = nodes.container(nb_element="mime_bundle"), nodes.container(mime_type="text/html")
    container += nodes.raw("", FIGURE, format="html", classes=["output", "text_html"])
    bundle += container
    document += bundle
    outputs.numbered(None, document)
    figure = document.next_node(nodes.figure)
    assert figure["ids"] and figure.next_node(nodes.caption).astext() == "Fast & small"
    raw = figure.next_node(nodes.raw)
    assert "figcaption" not in raw.astext() and raw["classes"] == ["output", "text_html"]


def test_the_cells_that_every_chapter_begins_with_are_folded():
    document = new_document("page")
    sources = {"try:\n    import lulc_utils": [], "seed = 0": ["cell", "tag_parameters"], "import numpy": ["cell"]}
    for source, classes in sources.items():
        cell = nodes.container(nb_element="cell_code", classes=classes)
        cell += nodes.literal_block(source, source)
        document += cell
    outputs.folded(None, document)
    assert [cell.get("prompt_show") for cell in document] == ["Show the installation", "Show the parameters", None]
