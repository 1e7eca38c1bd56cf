"""A miniature DINO in training: what becomes of the answers without centering or without sharpening."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lulc_utils.interactive.figure import Interactive, assemble, drawing, image, numbers
from lulc_utils.plot import COLORS
from lulc_utils.style import WIDEST

NAMES = {
    (True, True): "centered and sharpened", (False, True): "no centering",
    (True, False): "no sharpening", (False, False): "neither",
}  # fmt: skip
LINES = (  # in the order of the chart: what, its name, color and dashes
    ("together", "teacher, mean", COLORS[0], "8 4"),
    ("each", "teacher, one", "#b87a00", ""),
    ("student", "student, one", "#b5608f", "8 3 2 3"),
    ("loss", "loss", "currentColor", "2 3"),
)
SHADES = ("#7fa8c9", "#b87a00")  # of the bars, and of the outline over them


def collapse(
    histories: Mapping[tuple[bool, bool], Sequence[dict]],
    answers: Mapping[tuple[bool, bool], Sequence[torch.Tensor]],
    *,
    caption: str,
) -> Interactive:
    """A slider over the steps and two switches: the teacher's answers as bars; entropies, the student's too, and loss.

    histories   {(centered, sharpened): the history of `dino.train`}, all four combinations, logged at the same steps
    answers     the same keys: what `watch` of `dino.train` was given, one [views, K] of probabilities for each record
    caption     the finding, and something to try

    Bars are the mean answer over the views of a batch, the most used prototype first; the line over them is the answer
    about the first view. Both are packed as roots in 256 steps; entropies (nats) and losses are the history's own.
    ValueError when a combination is missing, or steps and prototypes differ.
    """
    if set(histories) != set(NAMES) or set(answers) != set(NAMES):
        raise ValueError("There must be four trainings, with and without centering and sharpening.")
    steps = [record["step"] for record in histories[True, True]]
    shapes = {a.shape[-1] for run in answers.values() for a in run}
    logged = {tuple(r["step"] for r in h) for h in histories.values()} | {
        tuple(steps[: len(a)]) for a in answers.values()
    }
    if len(logged) > 1 or len(shapes) != 1 or any(len(a) != len(steps) for a in answers.values()):
        raise ValueError("All trainings must be logged at the same steps and have the same number of prototypes.")
    runs = [_run(key, histories[key], answers[key]) for key in NAMES]
    data = {
        "prototypes": shapes.pop(), "steps": steps, "runs": runs, "colors": SHADES,
        "lines": [{"name": name, "color": color, "dash": dash} for _, name, color, dash in LINES],
    }  # fmt: skip
    ends = "; ".join(
        f"{run['name']}: entropy of one answer {run['each'][-1]:.1f}, of the mean answer {run['together'][-1]:.1f}, "
        f"of one answer of the student {run['student'][-1]:.1f}, loss {run['loss'][-1]:.1f}"
        for run in runs
    )
    alt = f"Four line charts over {steps[-1]} steps of training, in nats. At the end, {ends}."
    static = image(_charts(steps, runs, math.log(data["prototypes"])), alt)
    return assemble("collapse", data, static, caption, shared=("lines",))


def _run(key: tuple[bool, bool], history: Sequence[dict], answers: Sequence[torch.Tensor]) -> dict:
    """What the script needs of one training."""
    means = [a.float().mean(0) for a in answers]
    orders = [mean.argsort(descending=True) for mean in means]
    views = [a[0].float() for a in answers]
    mean, first = (torch.stack([a[o] for a, o in zip(some, orders, strict=True)]) for some in (means, views))
    packed = [numbers((255 * some.sqrt()).round().byte().numpy()) for some in (mean, first)]
    keys = {"each": "cls_entropy", "together": "cls_entropy_of_mean", "student": "student_entropy", "loss": "cls_loss"}
    curves = {name: [round(record[k], 3) for record in history] for name, k in keys.items()}
    about = {"name": NAMES[key], "centering": key[0], "sharpening": key[1]}
    return about | curves | {"mean": packed[0], "one": packed[1]}


def _charts(steps: list[int], runs: list[dict], top: float) -> str:
    """All four trainings at once, drawn without pyplot so that no open figure is affected."""
    figure = Figure(figsize=(WIDEST, 5), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    for axis, run in zip(grid.flat, runs, strict=True):
        for what, name, color, dash in LINES:
            style = (0, tuple(map(float, dash.split()))) if dash else "-"
            color = "black" if color == "currentColor" else color
            axis.plot(steps, run[what], color=color, linestyle=style, label=name)
        axis.axhline(top, color="black", linewidth=0.8, linestyle=":")
        axis.set(title=run["name"], ylim=(0, 5.5))
    for lower, left in zip(grid[1], grid[:, 0], strict=True):
        lower.set_xlabel("training step")
        left.set_ylabel("nats")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=4, handlelength=3)
    figure.canvas.draw()
    return drawing(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy(), longest=720)
