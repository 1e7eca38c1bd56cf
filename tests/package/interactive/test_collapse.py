"""The miniature's trainings as an interactive figure: packed faithfully, described in words, and switched live."""

import base64
import json
import math
import re

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from lulc_utils import dino, interactive, simulate
from lulc_utils.dino import entropies
from lulc_utils.interactive.collapse import NAMES
from lulc_utils.training import Saving

K, STEPS = 16, (2, 4, 6)
CAPTION = "A caption that says what is found, and what to try."


def training(spread, kinds):
    """(history, answers) of views that commit themselves to `kinds` prototypes, `spread` 0 (each one) to 1 (all)."""
    own = torch.eye(K)[torch.arange(8) % kinds]
    answers = [(1 - spread) * own + spread / K + 0.0 * step for step in STEPS]
    history = []
    for step, a in zip(STEPS, answers, strict=True):
        each, together = entropies(a)
        record = {"step": step, "cls_entropy": each, "cls_entropy_of_mean": together, "cls_loss": each + step}
        history.append(record | {"student_entropy": each / 2})
    return history, answers


@pytest.fixture
def runs():
    made = {(True, True): (0.1, 8), (False, True): (0.0, 1), (True, False): (1.0, 8), (False, False): (0.95, 1)}
    return {key: training(*value) for key, value in made.items()}


def figure_of(runs):
    histories, answers = ({key: run[i] for key, run in runs.items()} for i in range(2))
    return interactive.collapse(histories, answers, caption=CAPTION)


def test_bars_are_the_answers_and_the_static_picture_says_the_numbers(runs):
    page = BeautifulSoup(figure_of(runs).html, "html.parser")
    data = json.loads(page.find("script", type="application/json").string)
    for run, key in zip(data["runs"], NAMES, strict=True):
        history, answers = runs[key]
        packed = np.frombuffer(base64.b64decode(run["mean"]), np.uint8).reshape(len(STEPS), K)
        exact = np.sort(answers[-1].mean(0).numpy())[::-1]
        np.testing.assert_allclose((packed[-1] / 255) ** 2, exact, atol=1 / 255)
        assert (np.diff(packed.astype(int), axis=1) <= 0).all()
        assert run["each"][-1] == pytest.approx(history[-1]["cls_entropy"], abs=1e-3)
    alt = page.select_one(".lulc-static img")["alt"]
    assert "no sharpening: entropy of one answer 2.8, of the mean answer 2.8" in alt and "neither" in alt
    assert "of one answer of the student 1.4, loss" in alt


def test_trainings_that_cannot_be_compared_are_refused(runs):
    histories, answers = ({key: run[i] for key, run in runs.items()} for i in range(2))
    with pytest.raises(ValueError, match="four trainings"):
        interactive.collapse({(True, True): histories[True, True]}, answers, caption=CAPTION)
    with pytest.raises(ValueError, match="same steps"):
        interactive.collapse(histories, answers | {(True, True): answers[True, True][:2]}, caption=CAPTION)
    with pytest.raises(ValueError, match="same number of prototypes"):
        fewer = [a[:, :4] for a in answers[True, True]]
        interactive.collapse(histories, answers | {(True, True): fewer}, caption=CAPTION)


def test_a_training_can_be_watched(one_thread):
    scenes, seen = simulate.aerial_scenes(range(2), size=64), []
    settings = dino.Settings(model="vit_mini8", steps=2, batch_size=2, crop=32, prototypes=K, warmup_steps=0)
    result = dino.train(scenes, settings, Saving(log_every=1), watch=seen.append)
    assert [a.shape for a in seen] == [(4, K)] * 2
    for record, answers in zip(result.history, seen, strict=True):
        assert entropies(answers) == pytest.approx((record["cls_entropy"], record["cls_entropy_of_mean"]), abs=1e-4)


def test_switches_and_slider_say_what_happens(runs, offline_page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><body>{figure_of(runs).html}</body></html>')
    page = offline_page
    page.goto(path.as_uri())
    said = lambda: page.locator(".lulc-result").inner_text()  # noqa: E731
    each, together = (math.exp(runs[True, True][0][-1][k]) for k in ("cls_entropy", "cls_entropy_of_mean"))
    assert f"uses about {each:.0f} of 16 prototypes, all answers together about {together:.0f};" in said()
    assert f"one of the student's uses about {math.exp(runs[True, True][0][-1]['student_entropy']):.0f};" in said()
    assert "different views get different ones" in said()
    page.get_by_label("sharpening").press("Space")
    assert "no sharpening" in said() and "spread over all prototypes" in said()
    page.get_by_label("centering").press("Space")
    assert "neither" in said()
    page.get_by_label("sharpening").click()
    assert "no centering" in said() and "All views get the same answer" in said()
    before = page.locator("svg").last.inner_html()
    page.get_by_role("slider", name="Training step").press("ArrowLeft")
    assert said().startswith("Step 4,") and page.locator("svg").last.inner_html() != before
    assert re.search(r"loss 4\.\d\d", said())
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.errors and not page.requests_out
