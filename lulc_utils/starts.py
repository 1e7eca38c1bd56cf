"""Chapter 3's figures and tables: a network from random weights beside one that was pre-trained, with few labels.

They read the results of `scripts/measure/ch3_space.py` and `ch3_flood.py`, {points or budget: {...}}, of which a part
may be missing: what is not measured is left out. Every interval is (mean, low, high) in mIoU, by Student's t.
"""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lulc_utils import charts, evaluate, gains, plot
from lulc_utils.gains import SIZE, in_points
from lulc_utils.literal import as_label, as_number
from lulc_utils.plot import COLORS, MARKERS, Notice, Table
from lulc_utils.scene import UNLABELLED, LandCover
from lulc_utils.simulate.satellite.spectra import GROUND_BANDS
from lulc_utils.tables import Interval

NAMES = {"random": "random weights", "pre-trained": "pre-trained"}
PLAIN = {"pixels": "single pixels", "neighborhoods": "pixels and surroundings"}
PLAIN |= {"pre-trained, frozen": "frozen features, probe"}
RIVALS = {"random": "random weights"} | PLAIN
ASIDE = ("views of one date", "random, fitted head", "pre-trained, random head")


def color(image: np.ndarray) -> np.ndarray:
    """Simulated reflectance [10, H, W] for the screen, (H, W, 3) in 0..1; stretched so that clouds do not darken it."""
    picture = np.moveaxis(image[[GROUND_BANDS.index(band) for band in ("B04", "B03", "B02")]], 0, -1)
    low, high = np.percentile(picture, (2, 75))
    return (0.7 * (picture - low) / max(high - low, 1e-9)).clip(0, 1)


def labelled_points(images: np.ndarray, few: np.ndarray, classes: tuple[LandCover, ...], shown: int = 4) -> Figure:
    """The grounds that hold most of the labelled points, each point as a disk in the color of its class.

    images [P, C, H, W] one date, few [P, H, W] UNLABELLED where nobody has looked
    """
    chosen = np.argsort(-(few != UNLABELLED).sum((1, 2)), kind="stable")[:shown]
    figure, axes = plot.panels({f"ground {i}": color(images[i]) for i in chosen}, shown, 2)
    for axis, i in zip(axes, chosen, strict=False):
        for row, col in np.argwhere(few[i] != UNLABELLED):
            axis.plot(col, row, "o", markersize=9, color=classes[few[i, row, col]].color, markeredgecolor="white")
    plot.legend(figure, classes)
    return figure


def median_ground(truth: np.ndarray, before: np.ndarray, after: np.ndarray, n_classes: int) -> int:
    """The ground whose gain in mIoU, `after` minus `before`, is the median: no better an example than half of the rest.

    All three [P, H, W]; the upper one of the two in the middle when P is even.
    """
    gain = [
        evaluate.miou(t, b, n_classes) - evaluate.miou(t, a, n_classes)
        for t, a, b in zip(truth, before, after, strict=True)
    ]
    return int(np.argsort(gain, kind="stable")[len(gain) // 2])


def training(axis: Axes, curves: Mapping[str, Mapping[int, float]], plain: Mapping[str, float]) -> None:
    """Scores of one run against steps, `{start: {steps: score}}`, and contestants without training as lines."""
    for i, (name, of) in enumerate(curves.items()):
        axis.plot([*of], [*of.values()], color=COLORS[i], marker=MARKERS[i], label=as_label(name))
    lines(axis, plain)
    axis.set(xlabel="steps of fine-tuning", ylabel="mIoU on other grounds")


def lines(axis: Axes, plain: Mapping[str, float]) -> None:
    """A line across for every contestant that needs no training."""
    for (name, score), dashes, color in zip(plain.items(), (":", "--", "-."), COLORS[2:], strict=False):
        axis.axhline(score, color=color, linestyle=dashes, linewidth=1.3, label=as_label(name))


def ends(grid: Mapping[str, dict]) -> dict[str, dict]:
    """What was measured with the fewest and with the most points."""
    points = sorted(grid, key=int)
    return {n: grid[n] for n in dict.fromkeys((points[0], points[-1]))}


def curves(grid: Mapping[str, dict]) -> Figure:
    """mIoU against steps of fine-tuning: both starts, with intervals and best steps, and lines for untrained rivals."""
    shown = ends(grid)
    size = (SIZE, 0.6 + 2.9 * len(shown))
    figure, axes = plt.subplots(len(shown), 1, figsize=size, sharex=True, squeeze=False, layout="constrained")
    for axis, (points, cell) in zip(axes[:, 0], shown.items(), strict=True):
        by_steps = {name: {int(n): v for n, v in cell["curves"][key].items()} for key, name in NAMES.items()}
        charts.bands(axis, by_steps)
        for of in by_steps.values():  # a ring where a start is counted: at its best
            best = max(of, key=lambda n: of[n][0])
            axis.plot(best, of[best][0], "o", markersize=11, markerfacecolor="none", markeredgecolor="black")
        lines(axis, {name: cell["scores"][key][0] for key, name in PLAIN.items()})
        axis.set(title=f"{points} labelled points", ylabel="mIoU on other grounds")
    axes[-1, 0].set_xlabel("steps of fine-tuning")
    charts.legend_below(figure, axes[0, 0], 2)
    return figure


def by_points(grid: Mapping[str, dict]) -> Figure:
    """What the pre-trained network is ahead of every rival, against the number of labelled points."""
    lines = {name: {n: cell["pre-trained"][f"minus {key}"] for n, cell in grid.items()} for key, name in RIVALS.items()}
    figure, axis = plt.subplots(figsize=(SIZE, 3.9), layout="constrained")
    charts.curves(axis, lines, "pre-trained minus ...")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_ylabel("difference in mIoU")
    charts.legend_below(figure, axis, 2)
    return figure


def by_class(grid: Mapping[str, dict]) -> Figure:
    """Pre-trained minus random weights, IoU of each class, with the fewest and the most points."""
    kinds = {f"{n} points": cell["by class"] for n, cell in ends(grid).items()}
    return gains.stacked({"": kinds}, "IoU, pre-trained minus random weights")


def by_region(regions: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """Pre-trained minus random weights in every region, with the fewest and the most points."""
    kinds = {f"{n} points": of for n, of in ends(regions).items()}
    return gains.stacked({"": kinds}, "mIoU, pre-trained minus random weights")


def transfer(side: Mapping[str, dict], regions: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """Gain over random weights of networks pre-trained in one region (rows) and used in another (columns).

    A matrix for each number of points of which there is a cell off the diagonal, or else the diagonal alone.
    """
    points = sorted({n for what, of in side.items() if " -> " in what for n in of}, key=int) or list(ends(regions))[:1]
    places = list(next(iter(regions.values())))
    short = [place.split(",")[0].replace(" ", "\n", 1) for place in places]
    size = (SIZE, 0.3 + 4 * len(points))
    figure, axes = plt.subplots(len(points), 1, figsize=size, squeeze=False, layout="constrained")
    for axis, n in zip(axes[:, 0], points, strict=True):
        table = np.full((len(places), len(places)), np.nan)
        for i, source in enumerate(places):
            for j, target in enumerate(places):
                cell = side.get(f"{source} -> {target}", {}).get(n)
                gain = regions[n][target] if i == j else cell["minus random"] if cell else None
                table[i, j] = gain[0] if gain else np.nan
        image = charts.matrix(axis, table, short, short, largest=0.08)
        axis.set(title=f"{n} labelled points", ylabel="pre-trained in")
    axes[-1, 0].set_xlabel("fine-tuned and tested in")
    figure.colorbar(image, ax=axes, shrink=0.5, label="gain in mIoU over random weights")
    return figure


def aside(side: Mapping[str, dict]) -> Table | Notice:
    """What is left of the gain when one thing of the method is changed; a note when nothing of it was measured."""
    rows = [
        [what, n, *(in_points(cell[f"minus {start}"]) for start in NAMES)]
        for what in ASIDE
        for n, cell in sorted(side.get(what, {}).items(), key=lambda item: int(item[0]))
    ]
    if not rows:
        return Notice("Not measured yet", "`scripts/measure/ch3_space.py run` does these cells last.")
    head = ["changed", "points", "minus random weights", "minus pre-trained as above"]
    return Table(head, rows, "mIoU in points, each trained until it stops; 95 % intervals")


def protocols(grid: Mapping[str, dict], short: Mapping[str, Mapping[str, dict]]) -> Table:
    """The gain under each protocol, ours and one like the usual ones; ours with the fewest points, those at which
    equal compute was measured, and the most.

    grid    of this chapter; short    `gains` of scripts/measure/ch3_contrastive.py, {region: {share: {...}}}
    """
    few, many = (lambda shares, at=at: [of[sorted(of, key=float)[at]]["here"][0] for of in shares] for at in (0, -1))
    over = [" to ".join(as_number(100 * end(of(short.values())), 1, "+") for end in (min, max)) for of in (few, many)]
    points = sorted(grid, key=int)
    equal = [n for n in points if "minus random, equal compute" in grid[n]["pre-trained"]]
    points = list(dict.fromkeys((points[0], *equal, points[-1])))
    blank = ["–"] * (len(points) - 2)
    rows = [["four dates, whole patches (fewest and all), 200 steps (four regions)", over[0], *blank, over[1]]]
    said = {"200 steps each": "one date, points: 200 steps each", "equal compute": "the same, at equal compute"}
    shown = [grid[n]["pre-trained"] for n in points]
    for key, name in said.items():
        known = (of.get(f"minus random, {key}") for of in shown)
        rows.append([name, *("not run" if gain is None else in_points(gain) for gain in known)])
    rows.append(["the same, each until it stops", *(in_points(of["minus random"]) for of in shown)])
    head = ["protocol", *(f"{n} points" for n in points)]
    return Table(head, rows, "Pre-trained minus random weights, mIoU in points")


def real_gains(grid: Mapping[str, Mapping[str, dict]], tasks: Mapping[str, str]) -> Figure:
    """Pre-trained minus each rival on real patches, a panel for each task `{key: title}`, rows for budgets."""
    rivals = {"random": "random weights", **PLAIN, "Galileo, frozen": "frozen Galileo"}
    panels = {
        title: {
            name: {budget: cell["pre-trained"][f"minus {key}"] for budget, cell in grid[task].items()}
            for key, name in rivals.items()
        }
        for task, title in tasks.items()
    }
    return gains.stacked(panels, "mIoU, pre-trained minus ...")


def real_scores(grid: Mapping[str, Mapping[str, dict]], tasks: Mapping[str, str]) -> Table:
    """Mean mIoU of every contestant on real patches, a row for each task and budget."""
    names = {**PLAIN, **NAMES, "Galileo, frozen": "frozen Galileo"}
    rows = [
        [f"{title}: {budget}", *(float(cell["scores"][key][0]) for key in names)]
        for task, title in tasks.items()
        for budget, cell in grid[task].items()
    ]
    return Table(["labels", *names.values()], rows, "mIoU on held-out groups, means over the draws")
