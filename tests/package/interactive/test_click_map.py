"""Maps from clicks: what is packed, what is prepared, and the page's arithmetic against Python's."""

import base64
import json
import re

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import Ridge

from lulc_utils import backbone, evaluate, interactive, simulate
from lulc_utils.backbone import pca_rgb, raw_color
from lulc_utils.interactive.click_map import LARGEST_MAP, packed, prepared_clicks, ridge_map
from lulc_utils.interactive.figure import script
from lulc_utils.scene import Scene

pytestmark = pytest.mark.slow  # real features, and a browser

CAPTION = "A caption that says what is found, and what to try."
PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Figures</title><body><main>{}</main></body></html>'
SEEDS = {"the first scene": 1001, "the second": 1002, "the third": 1003}


@pytest.fixture(scope="module")
def scenes():
    return {name: simulate.aerial(seed, 224) for name, seed in SEEDS.items()}


@pytest.fixture(scope="module")
def features(scenes):
    pixels = np.stack([scene.pixels for scene in scenes.values()])
    trained, random = (backbone.patch_features(backbone.load(name), pixels) for name in ("embedded", "random"))
    return {"random ViT": random, "raw color": raw_color(pixels), "embedded": trained}


@pytest.fixture(scope="module")
def figure(scenes, features):
    return interactive.click_map(scenes, features, caption=CAPTION)


@pytest.fixture
def page(offline_page, tmp_path):
    """Shows HTML as a file; afterward nothing may have gone wrong or asked the network."""

    def opened(html, width=900):
        (tmp_path / "page.html").write_text(PAGE.format(html), encoding="utf8")
        offline_page.set_viewport_size({"width": width, "height": 900})
        offline_page.goto((tmp_path / "page.html").as_uri())
        return offline_page

    yield opened
    assert not offline_page.errors and not offline_page.requests_out


def data_of(figure):
    return json.loads(re.search(r'application/json">(.*?)</script>', figure.html)[1])


def unpacked(kind):
    values = np.frombuffer(base64.b64decode(kind["values"]), np.int8).reshape(-1, kind["dim"])
    return values * np.array(kind["scale"])


def miou(labels, scene):
    return evaluate.miou(evaluate.patch_labels(scene.labels, 8).ravel(), labels, 7)


# --------------------------------------------------------------------------------------------------- Python


def test_the_map_is_that_of_scikit_learns_ridge_regression():
    rng = np.random.default_rng(0)
    features, clicks = rng.normal(size=(60, 9)), [(3, 2), (10, 5), (20, 2), (31, 0)]
    rows, labels = map(list, zip(*clicks, strict=True))
    targets = (np.array(labels)[:, None] == [0, 2, 5]) - 1 / 3
    fitted = Ridge(alpha=9.0, fit_intercept=False).fit(features[rows], targets)
    np.testing.assert_array_equal(
        ridge_map(features, clicks, 1.0), np.array([0, 2, 5])[fitted.predict(features).argmax(1)]
    )


def test_prepared_clicks_are_one_patch_of_each_class_and_pure(scenes):
    for scene in scenes.values():
        clicks = prepared_clicks(scene, (28, 28))
        labels = evaluate.patch_labels(scene.labels[None], 8)[0]
        assert [label for _, label in clicks] == sorted(set(np.unique(labels)))
        for patch, label in clicks:
            row, col = divmod(patch, 28)
            assert (scene.labels[row * 8 + 3 : row * 8 + 5, col * 8 + 3 : col * 8 + 5] == label).all()


def test_packed_features_make_nearly_the_map_of_the_exact_ones(scenes, features):
    clicks = prepared_clicks(next(iter(scenes.values())), (28, 28))
    for kind in features.values():
        rows = kind.reshape(-1, kind.shape[-1]).double().numpy()
        values, scale = packed(rows)
        exact = (rows - rows.mean(0)) / rows.std(0)
        assert values.dtype == np.int8 and (ridge_map(values * scale, clicks) == ridge_map(exact, clicks)).mean() > 0.95


def test_the_figure_is_small_and_has_static_pictures(figure):
    assert len(figure.html.encode()) <= LARGEST_MAP
    assert figure.html.count("<img ") == 6 and "simulated scene of 224 by 224 pixels" in figure.html


BLANK = Scene("no labels", np.zeros((3, 224, 224), np.uint8), ("red", "green", "blue"), "simulated")
BAD = [
    (lambda s, f: ({}, {"a": f}), "0 scenes but 3 grids of features 'a'"),
    (lambda s, f: (s, {}), "at least one kind of features"),
    (lambda s, f: ({**s, "small": simulate.aerial(3, 128)}, {"a": [*f, f[0][:16, :16]]}), "the same grid"),
    (lambda s, f: ({"blank": BLANK}, {"a": f[:1]}), "need labels"),
]


@pytest.mark.parametrize("change, message", BAD, ids=[m for _, m in BAD])
def test_bad_input_gets_one_sentence(scenes, features, change, message):
    given, kinds = change(scenes, features["raw color"].numpy())
    with pytest.raises(ValueError, match=message):
        interactive.click_map(given, kinds, caption=CAPTION)


# ---------------------------------------------------------------------------------------------- the browser


def test_prepared_clicks_reach_the_score_that_python_finds(page, figure, scenes):
    shown = page(figure.html)
    clicks = [(c["patch"], c["label"]) for c in data_of(figure)["prepared"]]
    for kind in data_of(figure)["kinds"]:
        shown.get_by_label("Described by").select_option(label=kind["name"])
        maps = ridge_map(unpacked(kind), clicks).reshape(3, -1)
        wanted = [miou(labels, scene) for labels, scene in zip(maps, scenes.values(), strict=True)]
        scores = [
            float(n) for n in re.findall(r"mIoU ([\d.]+)", " ".join(shown.locator(".lulc-third").all_inner_texts()))
        ]
        np.testing.assert_allclose(scores, wanted, atol=0.006)
    assert scores[0] >= 0.30, "the embedded features, the last kind, on the scene that was clicked"
    assert f"mIoU {scores[0]:.2f} here" in shown.locator(".lulc-result").inner_text()


def test_clicks_by_mouse_and_keys_change_the_map(page, figure):
    shown = page(figure.html, width=390)
    answer = shown.locator(".lulc-result")
    map_of = lambda: shown.locator("canvas").nth(3).evaluate("canvas => canvas.toDataURL()")  # noqa: E731
    shown.get_by_role("button", name="Clear").click()
    assert "Choose a class" in answer.inner_text()
    empty, picture = map_of(), shown.locator("canvas").first
    shown.get_by_role("radio", name="3 water").check()
    picture.click(position={"x": 60, "y": 60})
    assert answer.inner_text().startswith("1 click,") and map_of() != empty
    before = map_of()
    for key in ("5", "ArrowDown", "ArrowRight", "Enter"):
        picture.press(key)
    assert answer.inner_text().startswith("2 clicks,") and map_of() != before
    assert shown.get_by_role("radio", name="5 tree").is_checked()
    missing = answer.inner_text().split("Not clicked yet: ")[1].split(".")[0]
    assert "water" not in missing and "tree" not in missing and "road" in missing
    picture.press("Enter")
    assert answer.inner_text().startswith("1 click,"), "the same class again takes the click back"
    shown.get_by_role("button", name="Prepared clicks").press("Enter")
    shown.get_by_role("button", name="Undo").press("Enter")
    assert answer.inner_text().startswith(f"{len(data_of(figure)['prepared']) - 1} clicks,")
    shown.get_by_label("Map by").select_option(label="the most similar click")
    shown.get_by_label("Lower row").select_option(label="the true classes")
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390


def test_learning_in_the_page_is_that_of_the_package(page, features):
    values = features["embedded"][0].flatten(0, 1)[:, :32]
    shown = page("")
    shown.add_script_tag(content=script("learn"))
    call = "([values, n, d]) => Array.from({}(Float32Array.from(values), n, d{}))"
    given = [values.flatten().tolist(), *values.shape]
    colors = np.array(shown.evaluate(call.format("principalColors", ""), given)).reshape(-1, 3)
    wanted = pca_rgb(values).numpy() * 255
    assert abs(colors - wanted).mean() < 2 and np.corrcoef(colors.ravel(), wanted.ravel())[0, 1] > 0.999
    groups = np.array(shown.evaluate(call.format("kMeans", ", 6"), given))
    sizes = np.bincount(groups)
    assert len(sizes) == 6 and (np.diff(sizes) <= 0).all()
    unit = (values / values.norm(dim=1, keepdim=True)).numpy()
    within = sum(((unit[groups == g] - unit[groups == g].mean(0)) ** 2).sum() for g in range(6))
    assert within <= 1.1 * KMeans(6, n_init=3, random_state=0).fit(unit).inertia_
