"""Sphinx extension: the table of the page "The data" is made from data_manifest, so that it cannot be out of date."""

from pathlib import Path

import yaml

MARK = "<!-- datasets -->"
MANIFEST = Path(__file__).resolve().parents[2] / "data_manifest" / "datasets.yaml"


def dataset_sections() -> str:
    """Markdown: a table of all datasets, then one section each with licence and citation."""
    datasets = yaml.safe_load(MANIFEST.read_text(encoding="utf8"))["datasets"]
    rows = ["| name | what | files | size | used in |", "|---|---|---:|---:|---|"]
    sections = []
    for name, entry in datasets.items():
        size = f"{entry['bytes'] / 1e6:.1f} MB"
        used = ", ".join(f"chapter {c}" for c in entry["used_in"])
        rows.append(f"| [`{name}`](dataset-{name}) | {entry['title']} | {entry['files']} | {size} | {used} |")
        sections.append(
            f"(dataset-{name})=\n## `{name}`: {entry['title']}\n\n{entry['about'].strip()}\n\n"
            f"**Licence.** {entry['licence'].strip()}\n\n**Cite.** {entry['citation'].strip()}\n\n"
            f"**Get it.** `python -m lulc_utils.data fetch {name}` ({entry['files']} files, {size}), "
            f"from <{entry['homepage']}>.\n"
        )
    return "\n".join(rows) + "\n\n" + "\n".join(sections)


def fill_in(app, docname, source):
    """Replace the mark on any page by the table."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, dataset_sections())


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True}
