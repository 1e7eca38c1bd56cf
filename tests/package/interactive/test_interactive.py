"""Interactive figures: what is packed into the page, how large it is, and what is refused."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from lulc_utils import backbone, interactive, simulate, stego
from lulc_utils.evaluate import patch_labels
from lulc_utils.interactive import seasons, shift, similarity
from lulc_utils.interactive.figure import LARGEST
from lulc_utils.interactive.swipe import along

TRICKY = """<img src=x onerror="alert(1)"> & </script><b>'quoted'"</b>"""
CAPTION = "A caption that says what is found, and what to try."
EUROPE = "temperate plain, Europe"


@pytest.fixture(scope="module")
def scene():
    return simulate.aerial(3, 128)


@pytest.fixture(scope="module")
def features():
    """16 x 16 patches that form a few directions, with noise: like a network's, and different from each other."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(16, 16, 5)) @ rng.normal(size=(5, 40)) + 0.1 * rng.normal(size=(16, 16, 40))).astype("f4")


explore, swiped, shifted = interactive.similarity_explorer, interactive.swipe, interactive.shift_slider


def data_of(figure):
    return json.loads(BeautifulSoup(figure.html, "html.parser").find("script", type="application/json").string)


def decoded(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def exact_cosines(features):
    unit = features.reshape(-1, features.shape[-1]).astype(float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit @ unit.T


def all_figures(scene, features, text=CAPTION):
    two = {text: scene, "b": scene}
    return [
        interactive.similarity_explorer(scene, {text: features, "raw": features[..., :6]}, caption=text),
        interactive.swipe(scene, np.zeros_like(scene.labels), caption=text, name=text),
        interactive.shift_slider(two, [features] * 2, (1, 2), caption=text, shifts={text: (0, 1)}),
        interactive.season_latitude(caption=text, latitudes=(-48, 48), days=(1, 136)),
        interactive.click_map(two, {text: [features] * 2}, caption=text),
        interactive.try_it(two, backbone.load("random"), weights=text, caption=text),
    ]


def test_packed_features_have_the_cosines_of_the_exact_ones(scene, features):
    kind = data_of(interactive.similarity_explorer(scene, features, caption=CAPTION))["kinds"][0]
    values = decoded(kind["values"], np.int8).reshape(256, kind["dim"])
    error = abs(similarity.cosines(values, np.array(kind["scale"])) - exact_cosines(features))
    assert kind["dim"] < features.shape[-1] and 0 < error.max() <= similarity.TOLERANCE
    assert kind["error"] == pytest.approx(error.max())


def test_other_scenes_are_packed_together_with_the_first(scene, features):
    second, described = simulate.aerial(4, 128), {"net": features[::-1]}
    figure = interactive.similarity_explorer(scene, {"net": features}, caption=CAPTION, others=[(second, described)])
    data = data_of(figure)
    values = decoded(data["kinds"][0]["values"], np.int8).reshape(512, data["kinds"][0]["dim"])
    both = np.concatenate([features, features[::-1]])
    error = abs(similarity.cosines(values, np.array(data["kinds"][0]["scale"])) - exact_cosines(both))
    assert error.max() <= similarity.TOLERANCE and len(data["pictures"]) == 2
    assert len(decoded(data["labels"], np.uint8)) == 512
    assert len(BeautifulSoup(figure.html, "html.parser").select(".lulc-static img")) == 3
    with pytest.raises(ValueError, match="All scenes must have the same size"):
        interactive.similarity_explorer(
            scene, {"net": features}, caption=CAPTION, others=[(simulate.aerial(4, 64), described)]
        )


def test_features_that_do_not_pack_are_refused():
    with pytest.raises(ValueError, match="cannot be packed into 192 numbers per patch"):
        similarity.pack(np.random.default_rng(0).normal(size=(500, 300)))


def test_every_figure_is_small_self_contained_and_has_a_static_picture(scene, features):
    for figure in all_figures(scene, features):
        assert len(figure.html.encode()) <= LARGEST and figure._repr_html_() == figure.html
        tree = BeautifulSoup(figure.html, "html.parser")
        assert len(tree.find_all("figure")) == 1 and tree.find("figcaption").get_text() == CAPTION
        pictures = tree.select(".lulc-static img")
        assert pictures and all(len(i["alt"]) > 20 and i["src"].startswith("data:image/") for i in pictures)
        assert "simulated" in " ".join(i["alt"] for i in pictures) and tree.find("noscript")
        addresses = set(re.findall(r"https?://[^\"'\s)]+", figure.html)) - {"http://www.w3.org/2000/svg"}
        assert not addresses and "url(" not in figure.html and not tree.find_all("link")
        assert not tree.find(id=True), "an id would be there twice when a figure is shown twice"
        assert "interactive figure" in repr(figure)


def test_a_figure_that_is_too_large_is_refused():
    large = 1 + 0.02 * np.random.default_rng(0).normal(size=(48, 48, 8))
    with pytest.raises(ValueError, match="interactive figure would take .* kB, more than the 200 kB"):
        interactive.similarity_explorer(simulate.aerial(3, 96), {f"kind {i}": large for i in range(9)}, caption=CAPTION)


def test_texts_never_become_html(scene, features):
    classes = tuple(c._replace(name=f"{TRICKY} {i}") for i, c in enumerate(scene.classes))
    for figure in all_figures(replace(scene, classes=classes, name=TRICKY), features, TRICKY):
        tree = BeautifulSoup(figure.html, "html.parser")
        assert tree.find("figcaption").string == TRICKY
        assert not tree.find_all("b") and not tree.find_all(onerror=True) and len(tree.find_all("script")) == 2
        assert data_of(figure)


def test_the_line_of_a_swipe_says_what_it_crosses():
    labels = np.array([[0, 1], [0, 1], [2, 255], [2, 1]], np.uint8)
    truth = np.array([[0, 1], [1, 255], [2, 1], [1, 2]], np.uint8)
    series = along(labels, truth, 3)
    assert len(series["shares"]) == len(series["agree"]) == 101
    assert series["shares"][0] == [0.5, 0, 0.5] and series["shares"][100] == [0, 1, 0]
    assert series["agree"][49] == 0.5 and series["agree"][50] == 0.5  # right: 1 of the 2 pixels known in both
    assert "agree" not in along(labels, None, 3)


def test_a_map_that_is_the_truth_is_not_compared_with_itself(scene):
    assert data_of(interactive.swipe(scene, scene.labels, caption=CAPTION))["names"] == ["image", "map"]
    other = np.roll(scene.labels, 5, 1)
    assert data_of(interactive.swipe(scene, other, caption=CAPTION))["names"] == ["truth", "image", "map"]


def test_correspondences_are_stegos(features):
    first, second = features, features[::-1].copy()
    a, b = (torch.from_numpy(x).flatten(0, 1)[None] for x in (first, second))
    wanted = stego.centered(stego.correspondence(a, b))[0, 18].view(16, 16).numpy()
    matrix = shift.centered_correspondence(first.astype(float), second.astype(float), 18)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, wanted, atol=1e-6)


def test_the_shift_slider_knows_which_patches_are_of_the_marked_class(scene, features):
    two = {"a": scene, "b": scene}
    data = data_of(shifted(two, [features] * 2, (4, 5), caption=CAPTION))
    labels = patch_labels(scene.labels, 8).ravel()
    assert data["kind"] == scene.class_names[labels[4 * 16 + 5]]
    assert [int(c) for c in data["parts"][1]["alike"]] == (labels == labels[4 * 16 + 5]).tolist()
    bare = data_of(shifted(two | {"b": replace(scene, labels=None)}, [features] * 2, (4, 5), caption=CAPTION))
    assert bare["kind"] == "" and [part["alike"] for part in bare["parts"]] == ["", ""]


def test_the_season_table_is_the_simulators():
    days, k = (136, 316), list(seasons.LINES).index("winter crop")
    table = seasons.season_table(EUROPE, (-48, 48), days)
    assert table.shape == (2, 2, len(seasons.LINES), 11)
    winter = [c.name for c in simulate.SATELLITE_CLASSES].index("winter crop")
    pure = []
    for seed in range(4):
        drawn = simulate.satellite(seed, EUROPE, 136, size=64, place=(48, 10))
        around = np.lib.stride_tricks.sliding_window_view(np.pad(drawn.labels, 1, mode="edge"), (3, 3))
        pure.append(drawn.pixels[:, (around == winter).all((2, 3))])
    pure = np.concatenate(pure, 1)
    np.testing.assert_allclose(table[1, 0, k, :10], pure.mean(1), atol=1e-5)
    assert table[1, 0, k, 10] == pytest.approx(simulate.ndvi(pure).mean(), abs=1e-5)
    assert table[1, 0, k, 10] > table[0, 0, k, 10] + 0.1, "in May wheat is green in the north"
    assert table[0, 1, k, 10] > table[1, 1, k, 10] + 0.1, "and in November in the south"


BAD = [
    (lambda s, f: explore(s, f[0], caption="x"), r"must be \[rows, columns, numbers\]"),
    (lambda s, f: explore(s, f[:15], caption="x"), "15 x 16 patches, which does not fit"),
    (lambda s, f: explore(s, np.where(f > 1, np.nan, f), caption="x"), "not finite"),
    (lambda s, f: explore(s, 0 * f, caption="x"), "a patch of all zeros"),
    (lambda s, f: explore(s, {}, caption="x"), "There are no features"),
    (lambda s, f: explore(s, {"a": f, "b": f[::2, ::2]}, caption="x"), "same grid"),
    (lambda s, f: explore(s, f, caption="x", patch=(16, 0)), "There is no patch in row 16"),
    (lambda s, f: explore(s, f, caption=" "), "needs a caption"),
    (lambda s, f: swiped(s, s.labels[1:], caption="x"), "must cover the same pixels"),
    (lambda s, f: swiped(s, s.labels.astype(float), caption="x"), "which are integers, not float64"),
    (lambda s, f: swiped(s, s.labels + np.uint8(90), caption="x"), "outside the 7 classes"),
    (lambda s, f: shifted({"a": s}, [f, f], (0, 0), caption="x"), "1 scenes but 2 features"),
    (lambda s, f: shifted({"a": s}, [f], (0, 0), caption="x", shifts={"p": (1, 2)}), "2 shifts 'p'"),
    (lambda s, f: shifted({"a": s, "b": s}, [f, f[..., :3]], (0, 0), caption="x"), "same number"),
    (lambda s, f: interactive.season_latitude("Mars", caption="x"), "no simulated region 'Mars'"),
    (lambda s, f: interactive.season_latitude(caption="x", latitudes=(48, 36)), "in ascending order"),
    (lambda s, f: interactive.season_latitude(caption="x", start=(131, 47)), "must be one of the days"),
    (lambda s, f: seasons.season_table(EUROPE, (48,), (1,), seeds=1, size=16), "give more seeds"),
]


@pytest.mark.parametrize("call, message", BAD, ids=[m for _, m in BAD])
def test_bad_input_gets_one_sentence(scene, features, call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(scene, features)
    assert str(error.value).count("\n") == 0
