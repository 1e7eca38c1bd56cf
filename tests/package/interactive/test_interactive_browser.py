"""Interactive figures, operated as a reader does: with the mouse and with the keyboard, in a real browser."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from lulc_utils import interactive, simulate
from lulc_utils.evaluate import patch_labels
from lulc_utils.interactive import seasons, similarity

HTML = Path(__file__).resolve().parents[3] / "_build" / "html"
CAPTION = "A caption that says what is found, and what to try."
PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Figures</title><body><main>{}</main></body></html>'


@pytest.fixture(scope="module")
def scene():
    return simulate.aerial(3, 128)


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(16, 16, 5)) @ rng.normal(size=(5, 40)) + 0.1 * rng.normal(size=(16, 16, 40))).astype("f4")


@pytest.fixture
def show(offline_page, tmp_path):
    """Opens figures as a file and returns the page; afterward nothing may have gone wrong or asked the network."""

    def opened(*figures, width=900):
        path = tmp_path / "page.html"
        path.write_text(PAGE.format("".join(f.html for f in figures)), encoding="utf8")
        offline_page.set_viewport_size({"width": width, "height": 800})
        offline_page.goto(path.as_uri())
        return offline_page

    yield opened
    assert not offline_page.errors and not offline_page.requests_out


def status(page, number=0):
    return page.locator(".lulc-result").nth(number).inner_text()


def painted(page, number):
    """The pixels of a canvas, once its picture is there."""
    page.wait_for_function(
        f"""() => {{ const c = document.querySelectorAll("canvas")[{number}];
        return c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }}"""
    )
    return page.locator("canvas").nth(number).evaluate("canvas => canvas.toDataURL()")


def test_explorer_answers_clicks_and_arrow_keys_with_the_cosines_of_the_features(show, scene, features):
    raw = features[..., :6]
    page = show(interactive.similarity_explorer(scene, {"net": features, "raw": raw}, caption=CAPTION, patch=(2, 3)))

    def check(row, col, name, described):
        unit = described.reshape(256, -1) / np.linalg.norm(described.reshape(256, -1), axis=1, keepdims=True)
        exact = unit @ unit[row * 16 + col]
        text = status(page)
        assert f"The patch in row {row}, column {col} (" in text and f"described by {name}." in text
        pattern = r"row (\d+), column (\d+) \((?:cosine )?(-?[\d.]+)\)"
        (near, far) = [(int(r), int(c), float(v)) for r, c, v in re.findall(pattern, text)]
        for r, c, value in (near, far):
            assert abs(exact[r * 16 + c] - value) < similarity.TOLERANCE + 0.006
        others = np.delete(exact, row * 16 + col)
        assert abs(near[2] - others.max()) < 0.03 and abs(far[2] - others.min()) < 0.03

    check(2, 3, "net", features)
    before = painted(page, 1)
    canvas = page.locator("canvas").first
    canvas.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    check(1, 5, "net", features)
    assert painted(page, 1) != before
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 12.5 / 16, "y": box["height"] * 7.5 / 16})
    check(7, 12, "net", features)
    before = painted(page, 1)
    page.locator("select").select_option(label="raw")
    check(7, 12, "raw", raw)
    assert painted(page, 1) != before


def test_explorer_counts_the_class_of_the_most_similar_patches(show, scene):
    grid = scene.labels.reshape(16, 8, 16, 8).transpose(0, 2, 1, 3).reshape(16, 16, 64)
    majority = np.array([[np.bincount(patch).argmax() for patch in row] for row in grid])
    features = np.eye(len(scene.classes))[majority] + 0.001 * np.random.default_rng(0).normal(size=(16, 16, 7))
    label = majority[8, 8]
    count = (majority == label).sum()
    assert count > 21
    page = show(interactive.similarity_explorer(scene, features, caption=CAPTION))
    name = scene.class_names[label]
    assert f"({name})" in status(page) and f"Of the 20 most similar patches, 20 are {name} too." in status(page)


def test_explorer_counts_in_the_other_scenes_only(show, scene):
    other = simulate.aerial(4, 128)
    noise = 0.001 * np.random.default_rng(0).normal(size=(2, 16, 16, 7))
    truth = [np.eye(7)[patch_labels(s.labels, 8)] for s in (scene, other)]
    common = int(np.bincount(patch_labels(other.labels, 8).ravel()).argmax())
    row, col = np.argwhere(patch_labels(scene.labels, 8) == common)[0]
    features = [{"net": t + n} for t, n in zip(truth, noise, strict=True)]
    page = show(
        interactive.similarity_explorer(
            scene, features[0], caption=CAPTION, patch=(row, col), others=[(other, features[1])]
        )
    )
    name = scene.class_names[common]
    assert f"Of the 20 most similar patches of the other scenes, 20 are {name} too." in status(page)
    assert "of scene 2 (cosine 1.00)" in status(page)
    assert page.locator("canvas").count() == 3 and painted(page, 2) != painted(page, 1)


def test_swipe_line_moves_by_keyboard_and_pointer_and_says_what_it_crosses(show, scene):
    answer = np.roll(scene.labels, 9, 1)
    page = show(interactive.swipe(scene, answer, caption=CAPTION, name="shifted map"))

    def check(percent):
        column = min(percent * 128 // 100, 127)
        counts = np.bincount(answer[:, column], minlength=7) / 128
        text = status(page).replace("\xa0", " ")
        first = scene.class_names[counts.argmax()]
        assert f"{100 * counts.max():.0f} % {first}" in text or f"{100 * counts.max() + 0.01:.0f} % {first}" in text
        agree = 100 * (answer == scene.labels)[:, column].mean()
        assert abs(float(re.search(r"agrees with the truth at (\d+) %", text)[1]) - agree) <= 0.51
        assert page.locator(".lulc-stage img").nth(1).evaluate("i => i.style.clipPath").endswith(f" {percent}%)")

    check(50)
    line = page.get_by_role("slider", name="Line at")
    line.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    check(53)
    assert line.get_attribute("aria-valuetext") == "53 % of the width"
    page.keyboard.press("Home")
    check(0)
    box = page.locator(".lulc-stage").bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 20)
    check(80)
    below = page.locator(".lulc-stage img").first
    before = below.get_attribute("src")
    page.get_by_role("combobox").select_option(label="image")
    assert below.get_attribute("src") != before and before.startswith("data:image/png")


def test_share_attracted_is_numpys_at_every_shift(show, scene, features):
    near = features + 0.5 * np.random.default_rng(1).normal(size=features.shape)
    preset = {"published": (0.18, 0.12)}
    figure = interactive.shift_slider(
        {"the crop": scene, "another": scene}, [features, near], (4, 5), caption=CAPTION, shifts=preset
    )
    page = show(figure)
    data = json.loads(re.search(r'application/json">(.*?)</script>', figure.html)[1])
    values = [np.frombuffer(base64.b64decode(part["values"]), np.float32) for part in data["parts"]]

    kind, labels = data["kind"], patch_labels(scene.labels, 8).ravel()
    assert kind == scene.class_names[labels[data["marked"]]]

    def check(b):
        for shown, f in zip(page.locator(".lulc-live .lulc-part").all(), values, strict=True):
            same = labels[f > b] == labels[data["marked"]]
            of_class = f" %, {100 * same.mean():.0f} % of them {kind}" if len(same) else "attracted: 0.0 %"
            assert of_class in shown.inner_text()
        shares = [f"{100 * (f > b).mean():.1f} % of {p['name']}" for f, p in zip(values, data["parts"], strict=True)]
        assert status(page) == f"At b = {b:.2f} the marked patch attracts {', '.join(shares)}; it repels the rest."

    check(0.2)
    before = painted(page, 0)
    page.get_by_role("slider", name="Shift b").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    check(0.25)
    assert painted(page, 0) != before
    page.get_by_role("button", name="published shift of pairs with another").press("Enter")
    check(0.12)
    page.keyboard.press("Shift+Tab")
    page.get_by_role("slider").press("End")
    check(data["max"])
    assert "attracts 0.0 % of the crop, 0.0 % of another" in status(page)


def test_seasons_show_the_simulators_numbers(show):
    latitudes, days = (-48, 48, 54), (1, 136, 316)
    page = show(interactive.season_latitude(caption=CAPTION, latitudes=latitudes, days=days))
    table = seasons.season_table("temperate plain, Europe", latitudes, days)

    def check(i, j, words):
        text = status(page)
        assert words in text
        for name, value in zip(seasons.LINES, table[i, j, :, 10], strict=True):
            assert abs(float(re.search(rf"{name} (-?[\d.]+\d)", text)[1]) - value) < 0.0051

    check(1, 1, "48° north, day 136 (15 May)")
    before = page.locator("svg").first.inner_html()
    page.get_by_role("slider", name="Day of the year").press("ArrowRight")
    check(1, 2, "48° north, day 316 (11 November)")
    page.get_by_role("slider", name="Latitude").press("ArrowLeft")
    check(0, 2, "48° south, day 316 (11 November)")
    assert page.locator("svg").first.inner_html() != before
    lines = page.locator("svg").first.locator("polyline")
    dashes = [lines.nth(k).get_attribute("stroke-dasharray") for k in range(6)]
    names = page.locator("svg").first.locator("text").all_text_contents()
    assert len(set(dashes)) == 6 and set(seasons.LINES) <= set(names), "told apart by more than color"


def test_several_on_a_page_work_alone_leak_no_names_and_fit_a_narrow_screen(show, scene, features):
    before = show().evaluate("Object.keys(window)")
    explorer = interactive.similarity_explorer(scene, features, caption=CAPTION, patch=(2, 3))
    line = interactive.swipe(scene, scene.labels, caption=CAPTION)
    page = show(explorer, line, explorer, width=320)
    assert set(page.evaluate("Object.keys(window)")) == set(before)
    page.locator("canvas").nth(2).press("ArrowDown")
    assert "row 2, column 3" in status(page, 0) and "row 3, column 3" in status(page, 2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.locator(".lulc-static:visible").count() == 0
    page.emulate_media(media="print")
    assert page.locator(".lulc-static:visible").count() == 3 and page.locator(".lulc-live:visible").count() == 0


def test_without_scripts_the_picture_and_a_sentence_are_there(browser, scene, features, tmp_path):
    path = tmp_path / "page.html"
    figure = interactive.similarity_explorer(scene, features, caption=CAPTION)
    path.write_text(PAGE.format(figure.html), encoding="utf8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator("img:visible").count() == 2 and "Without scripts" in page.locator("body").inner_text()
    assert page.locator("canvas, input, select, button").count() == 0
    context.close()


@pytest.mark.skipif(not HTML.exists(), reason="the book is not built; run `make book` first")
@pytest.mark.parametrize(
    "name, kind",
    [
        ("notebooks/00_start_here", "swipe"),
        ("notebooks/01_dino_features", "similarity"),
        ("notebooks/01_dino_features", "collapse"),
        ("notebooks/02_stego_clustering", "shift"),
        ("notebooks/05_mapping_at_scale", "swipe"),
        ("notebooks/04_metadata_pseudo_labels", "seasons"),
        ("book/try_it", "click_map"),
    ],
)
def test_figures_of_the_built_book_answer_the_keyboard(offline_page, name, kind):
    offline_page.goto((HTML / f"{name}.html").as_uri())
    figure = offline_page.locator(f'figure.lulc-figure[data-kind="{kind}"][data-live]')
    assert figure.count() == 1
    before = figure.locator(".lulc-result").inner_text()
    control = figure.locator('[role="application"], input[type="range"]').first
    control.press("ArrowLeft")
    if figure.locator(".lulc-result").inner_text() == before:  # it began at the left edge
        control.press("ArrowRight")
    assert figure.locator(".lulc-result").inner_text() != before
    assert not [error for error in offline_page.errors if "lulc" in error]
