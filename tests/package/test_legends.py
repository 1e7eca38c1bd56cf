"""Class colors can be told apart with every common kind of color blindness, and never stand without their names."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lulc_utils import legends, maps, plot, simulate

# Dichromacy, as matrices on linear RGB: Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1.0.
VISION = {
    "typical": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
LEGENDS = {name: value for name, value in vars(legends).items() if name.endswith("_CLASSES")}
# The Okabe-Ito colors, made for this purpose, reach 10.9 in their worst pair (see the test below); a difference of
# 1 is just noticeable side by side. Class colors have to look like their class besides, hence a little less.
FLOOR = 10.0


def lab(color: str, vision: str) -> np.ndarray:
    """L*, a*, b* (D65) of "#rrggbb" as somebody with this kind of vision sees it."""
    value = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = SRGB_TO_XYZ @ (np.asarray(VISION[vision]) @ linear).clip(0, 1) / SRGB_TO_XYZ.sum(1)
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(first, second) -> float:
    """CIEDE2000 between two L*, a*, b* (Sharma, Wu and Dalal 2005, doi:10.1002/col.20070)."""
    (l1, a1, b1), (l2, a2, b2) = first, second
    chroma7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(chroma7 / (chroma7 + 25**7))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, stretch * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    light, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360 if c1 * c2 else h1 + h2
    waves = ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.20, 4, -63))
    t = 1 + sum(size * np.cos(np.radians(times * hue + shift)) for size, times, shift in waves)
    sl = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    blue = np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2)))) * 2 * np.sqrt(chroma**7 / (chroma**7 + 25**7))
    return float(np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 - blue * dc / sc * dh / sh))


def closest(colors: dict[str, str], vision: str) -> tuple[float, str, str]:
    """The smallest difference of two of the colors, and their names."""
    seen = {name: lab(color, vision) for name, color in colors.items()}
    return min((difference(seen[a], seen[b]), a, b) for a, b in itertools.combinations(seen, 2))


def test_the_difference_is_that_of_the_published_pairs():
    pairs = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ]
    for first, second, expected in pairs:
        assert difference(first, second) == difference(second, first) == pytest.approx(expected, abs=1e-4)


def test_white_stays_white_and_red_and_green_come_closer():
    for vision in VISION:
        np.testing.assert_allclose(lab("#ffffff", vision), (100, 0, 0), atol=0.05)
    red_and_green = {"red": "#d04040", "green": "#508040"}
    assert closest(red_and_green, "deuteranopia")[0] < closest(red_and_green, "typical")[0] / 3


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("legend", LEGENDS)
def test_classes_differ_for_every_reader(legend, vision):
    """Also from white, which class maps use for pixels without a label."""
    colors = {c.name: c.color for c in LEGENDS[legend]} | {"not labelled": "#ffffff"}
    gap, first, second = closest(colors, vision)
    assert gap >= FLOOR, f"{legend}: {first} and {second} differ by only {gap:.1f} with {vision}"


@pytest.mark.parametrize("vision", VISION)
def test_methods_differ_for_every_reader(vision):
    gap, first, second = closest({c: c for c in plot.COLORS}, vision)
    assert gap >= 10.8, f"{first} and {second} differ by only {gap:.1f} with {vision}"


def test_labels_have_the_names_of_their_classes():
    for labels, classes in (
        (legends.Aerial, legends.AERIAL_CLASSES),
        (legends.Satellite, legends.SATELLITE_CLASSES),
    ):
        assert [label.name.lower().replace("_", " ") for label in labels] == [c.name for c in classes]
        assert list(labels) == list(range(len(classes)))


def test_one_name_has_one_color_everywhere():
    colors = {}
    for name, color in ((c.name, c.color) for classes in LEGENDS.values() for c in classes):
        assert colors.setdefault(name, color) == color, name


def test_legends_name_every_color():
    scene = simulate.aerial(1, 64)
    figure, _ = plot.scenes([scene])
    assert [t.get_text() for t in figure.legends[0].get_texts()][: len(scene.classes)] == [
        c.name for c in scene.classes
    ]
    plt.close(figure)
    page = maps.scene_map(scene).get_root().render()
    assert all(f"background:{c.color}" in page and f"</span> {c.name}</div>" in page for c in scene.classes)
