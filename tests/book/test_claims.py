"""Claims and findings: every number comes from a result file, and a verdict cannot outlive its numbers."""

import json
import re
from pathlib import Path

import pytest
import run_chapters
import yaml
from claims import SLOT, anchor, claims, differences, filled_in, holds, overview, settled, sign

ROOT = Path(__file__).resolve().parents[2]

MEASURED = ROOT / "book" / "measured"
CLAIMS = settled(yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf8")), MEASURED)


@pytest.fixture
def folder(tmp_path):
    content = {"results": {"a": {"x": [0.5, 0.4, 0.6], "y": [-0.1, -0.2, 0.1]}, "n": 3}}
    (tmp_path / "some.json").write_text(json.dumps(content))
    return tmp_path


def test_the_page_shows_the_measured_numbers():
    page = claims(CLAIMS, MEASURED)
    scores = json.loads((MEASURED / "01_dino_features.json").read_text())["results"]["simulated"]["scores"]
    value, low, high = scores["linear probe"]["embedded"]
    assert f"{value:.2f} ({low:.2f} to {high:.2f})" in page
    gains = json.loads((MEASURED / "contrastive_grid.json").read_text())["results"]["gains"]
    cells = [cell["here"][0] for region in gains.values() for cell in region.values()]
    assert f"positive in {sum(c > 0 for c in cells)} of {len(cells)} cells" in page
    assert "{" not in re.sub(r"\{(cite:t|table)\}", "", page) and "True" not in page


def test_every_chapter_has_a_claim_with_an_existing_source_and_command():
    assert {c["chapter"] for c in CLAIMS} == set(run_chapters.chapters())
    keys = set(re.findall(r"@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf8")))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf8"), re.M))
    for claim in CLAIMS:
        assert claim["paper"] is None or claim["paper"] in keys
        tool, what = claim["command"].split()[:2]
        assert what in targets if tool == "make" else (ROOT / what).exists(), claim["command"]


def test_the_papers_of_the_book_have_simulated_and_real_findings():
    for paper in ("caron2021dino", "hamilton2022stego", "tarasiou2022", "bernhard2024"):
        places = [f["where"] for c in CLAIMS if c["paper"] == paper for f in c["findings"]]
        assert any(p.startswith("simulated") for p in places) and any(p.startswith("real") for p in places), paper


def test_differences_are_in_points_and_tables_become_cards_on_a_phone():
    """One unit for one quantity: "+0.05" or "−0.126" of mIoU is nowhere on the page."""
    page = claims(CLAIMS, MEASURED)
    assert "points (" in page and not re.search(r"[+−]\d\.\d\d", page)
    for text in (page, overview(CLAIMS)):
        assert text.count("```{table}\n:class: cards") == text.count("|---|---|---|") > 0


def test_no_number_is_typed_into_the_findings():
    # shares of labels, sizes and levels, not results
    allowed = r"\b(1|5|24|25|48|52|56|95) (%|clusters|points|labels)|with (24|48|96)\b|tile [23]\b"
    for claim in CLAIMS:
        for finding in claim["findings"]:
            text = SLOT.sub("", finding["text"])
            assert not re.search(r"\d", re.sub(allowed, "", text)), text


def test_formats_and_wildcards(folder):
    def shown(text):
        return filled_in(text, folder)

    assert shown("{some/a/x|value} {some/a/x|number}") == "0.50 (0.40 to 0.60) 0.50"
    assert shown("{some/a/y|gain}") == "−0.100 (−0.200 to +0.100)"
    assert shown("{some/a/y|points} {some/n|integer}") == "−10.0 points (−20.0 to +10.0) 3"
    assert shown("{some/a/*|count} {some/a/*|positive} {some/a/*|above} {some/a/*|smallest}") == "2 1 1 −10.0"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{other/a|value}", "other.json, which is not in"),
        ("{some/a/z|value}", "no 'z' in the measured results"),
        ("{some/a/x/7|number}", "no '7'"),
        ("{some/a/x|loud}", "format 'loud'"),
        ("{some/a/*|value}", "these are 2 values"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_sentence(folder, text, words):
    with pytest.raises(ValueError, match=words):
        filled_in(text, folder)


def test_rules_and_a_verdict_that_is_no_longer_true(folder):
    for rule, answer in {
        "some/a/x | above": True,
        "some/a/y | above": False,
        "some/a/y | contains": True,
        "some/a/x | below": False,
        "some/a/* | all positive": False,
        "some/a/x > some/a/y": True,
        "some/a/y > some/a/x": False,
        "some/a/* | 1 above": True,
        "some/a/* | 2 above": False,
    }.items():
        assert holds(rule, folder) is answer, rule
    finding = {"where": "simulated", "verdict": "better", "text": "", "true_if": ["some/a/y | above"]}
    with pytest.raises(ValueError, match="'better' is no longer true: some/a/y . above"):
        claims([{"claim": "x", "paper": None, "chapter": "01_dino_features", "findings": [finding]}], folder)


def test_a_verdict_is_the_first_whose_rules_hold(folder):
    cases = [
        {"if": ["some/a/* | above"], "say": "yes"},
        {"if": ["some/a/* | 1 above", "some/a/y | contains"], "say": "yes, in part"},
        {"say": "no difference that we can tell"},
    ]

    def verdict(of):
        (entry,) = settled([{"findings": [{"verdict": of}]}], folder)
        return entry["findings"][0]["verdict"]

    assert verdict(cases) == "yes, in part" and verdict(cases[2:]) == cases[2]["say"] and verdict("no") == "no"


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        ("yes, but", "✓"),
        ("no difference that we can tell", "≈"),
        ("no, the reverse", "✗"),
        ("noisy", "◐"),
        ("only", "◐"),
    ],
)
def test_the_sign_of_a_verdict_follows_its_first_words(verdict, shown):
    assert sign(verdict) == shown


def test_the_overview_has_one_row_a_claim_that_leads_to_its_numbers():
    table, page = overview(CLAIMS), claims(CLAIMS, MEASURED)
    rows = [line for line in table.splitlines() if line.startswith("| [")]
    assert len(rows) == len(CLAIMS)
    for entry in CLAIMS:
        assert sum(f"](#{anchor(entry)})" in row for row in rows) == 1 and page.count(f"({anchor(entry)})=") == 1
        first = next(f["verdict"] for f in entry["findings"])
        assert any(first in row for row in rows) or "and" in entry["findings"][0]["where"], first


def test_the_chart_shows_differences_that_the_findings_tell():
    """A row is a difference that the finding's own text tells, too, and no row hides another of the same name."""
    named = [(path, f) for c in CLAIMS for f in c["findings"] for path in f.get("chart", {}).values()]
    for path, finding in named:
        assert re.search(re.escape(path) + r"\|(gain|points)\}", re.sub(r"\s+", " ", finding["text"])), path
    drawn = differences(CLAIMS, MEASURED)
    assert sum(map(len, drawn.values())) == len(named) > 10
    assert all(low <= value <= high for kind in drawn.values() for value, low, high in kind.values())
    assert all(len(name) <= 40 for kind in drawn.values() for name in kind)  # longer ones leave no room for the chart
