"""What trainings share: limits of settings, options made from them, interrupted runs, locks, devices."""

import argparse
import json
import os
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from lulc_utils import training
from lulc_utils.training import Checked, Run, Saving, add_options, from_options, option, seed_option, step_generator


@dataclass(frozen=True)
class Settings(Checked):
    steps: int = option(8, "updates", least=1)
    lr: float = option(0.1, "learning rate", above=0)
    momentum: float | None = option(0.9, "of the center", least=0, most=1)
    temps: tuple[float, float] = option((0.04, 0.07), "from, to", above=0)
    precision: str = option("fp32", "numbers", choices=("fp32", "bf16"))
    freeze: bool = option(False, "train the head alone")
    jitter: dict = option({"gain": 0.1})
    seed: int = seed_option("of everything")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, not 0."),
        ({"steps": 2.5}, "steps must be a whole number of at least 1, not 2.5."),
        ({"steps": True}, "steps must be a whole number of at least 1, not True."),
        ({"steps": "3"}, "steps must be a whole number of at least 1, not '3'."),
        ({"lr": -1}, "lr must be a number above 0, not -1."),
        ({"lr": float("nan")}, "lr must be a number above 0, not nan."),
        ({"lr": float("inf")}, "lr must be a number above 0, not inf."),
        ({"lr": None}, "lr must be a number above 0, not None."),
        ({"momentum": 2}, "momentum must be a number of at least 0 and of at most 1, not 2."),
        ({"temps": (-1, 1)}, "temps must be 2 numbers above 0, not (-1, 1)."),
        ({"temps": 0.1}, "temps must be 2 numbers above 0, not 0.1."),
        ({"seed": 10**20}, f"seed must be a whole number of at least 0 and of at most 1e+12, not {10**20}."),
        ({"precision": "fp16"}, "precision must be one of fp32, bf16, not 'fp16'."),
    ],
)
def test_a_value_outside_its_limits_is_one_plain_sentence(change, sentence):
    with pytest.raises(ValueError) as error:
        Settings(**change)
    assert str(error.value) == sentence


def test_values_within_their_limits_are_taken():
    made = Settings(steps=np.int64(3), lr=1, momentum=None, temps=[1, 2.0], jitter={"gain": 1})
    assert made.steps == 3 and made.jitter == {"gain": 1} and Settings().jitter is not Settings().jitter


def test_options_of_the_command_line_come_from_the_fields():
    parser = argparse.ArgumentParser()
    add_options(parser, Settings)
    assert from_options(Settings, parser.parse_args([])) == Settings()
    words = "--steps 3 --lr 2 --temps 1 2 --precision bf16 --freeze --momentum 0.5".split()
    made = from_options(Settings, parser.parse_args(words))
    assert made == Settings(3, 2.0, 0.5, (1.0, 2.0), "bf16", True)
    assert "jitter" not in parser.format_help()  # it has no help text
    with pytest.raises(ValueError, match="steps must be"):
        from_options(Settings, parser.parse_args(["--steps", "0"]))


def train(settings, saving=Saving(), stop_at=None, about=None):  # noqa: B008  (frozen)
    """A line fitted to noise: every kind of part there is."""
    with training.own_randomness(settings.seed):
        model = nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), settings.lr)
    center, seen = torch.zeros(3), []
    run = Run(settings, saving, {"model": model, "optimizer": optimizer, "center": center, "seen": seen, "last": None},
              about=about)  # fmt: skip
    for step in run.steps("a line"):
        if step == stop_at:
            raise KeyboardInterrupt
        x = torch.randn(4, 3, generator=step_generator(settings.seed, step))
        center.lerp_(x.mean(0), 0.5)
        loss = (model(x - center) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(step)
        run.parts["last"] = loss.item()
        run.record({"loss": loss.item(), "lr": settings.lr})
    return run


def same(a: Run, b: Run) -> bool:
    tensors = [(*r.parts["model"].state_dict().values(), r.parts["center"]) for r in (a, b)]
    plain = [(r.records, r.parts["seen"], r.parts["last"]) for r in (a, b)]
    return all(map(torch.equal, *tensors)) and plain[0] == plain[1]


@pytest.mark.parametrize("stop_at", [1, 5, 6])
def test_interrupted_run_equals_unbroken_run_bit_for_bit(tmp_path, stop_at):
    saving = Saving(tmp_path / "new" / "c", 2, history=tmp_path / "new" / "h.jsonl", log_every=3)
    with pytest.raises(KeyboardInterrupt):
        train(Settings(), saving, stop_at)
    run = train(Settings(), saving)
    assert same(run, train(Settings(), Saving(log_every=3))) and [r["step"] for r in run.records] == [3, 6, 8]
    assert [json.loads(line) for line in (tmp_path / "new" / "h.jsonl").read_text().splitlines()] == run.records
    longer = train(Settings(steps=10), saving)
    assert longer.parts["seen"] == list(range(10))
    assert sorted(f.name for f in (tmp_path / "new").iterdir()) == ["c", "h.jsonl"]


def test_a_checkpoint_that_does_not_fit_is_refused_in_one_sentence(tmp_path):
    saving = Saving(tmp_path / "c")
    train(Settings(), saving, about={"images": 3})
    with pytest.raises(ValueError, match="a different lr, images; use the same settings"):
        train(Settings(lr=0.2), saving, about={"images": 4})
    content = torch.load(saving.checkpoint, weights_only=True)
    del content["parts"]["center"]
    for broken in (content, {"step": 3}, {**content, "parts": {"model": {}}}):
        torch.save(broken, saving.checkpoint)
        with pytest.raises(ValueError, match="not a complete checkpoint of this version .*; delete it to start again"):
            train(Settings(), saving, about={"images": 3})
    saving.checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        train(Settings(), saving)
    assert train(Settings(), Saving(saving.checkpoint, resume=False)).records


def test_two_runs_do_not_write_one_checkpoint(tmp_path):
    saving = Saving(tmp_path / "c")
    first = Run(Settings(), saving, {}).steps("first")
    next(first)
    with pytest.raises(RuntimeError, match=f"Another run is writing {saving.checkpoint}; wait for it or choose"):
        train(Settings(), saving)
    first.close()
    assert train(Settings(), saving).step == 8 and not (tmp_path / "c.lock").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_history_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "h.jsonl")
    with pytest.raises(ValueError, match="h.jsonl is a pipe, not a file; choose another name"):
        train(Settings(), Saving(history=tmp_path / "h.jsonl"))


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(tmp_path):
    saving = Saving(tmp_path / "c", 1, log_every=5)
    run = Run(Settings(), saving, {})
    with pytest.raises(ValueError, match="not finite at step 3; lower lr"):
        for step in run.steps("diverging"):
            run.record({"loss": (1.0, 2.0, float("nan"))[step]})
    assert torch.load(saving.checkpoint, weights_only=True)["step"] == 2


def test_seeds_share_no_stream_and_leave_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with training.own_randomness(5):
        own = torch.rand(2)
    assert torch.equal(torch.rand(3), expected)
    with training.own_randomness(5):
        assert torch.equal(torch.rand(2), own)
    draws = {float(torch.rand((), generator=step_generator(s, i))) for s in range(20) for i in range(100)}
    assert len(draws) == 2000


def test_schedule_warms_up_and_falls():
    rates = training.cosine_schedule(1.0, 0.0, 10, 4)
    assert rates[:4] == pytest.approx([0, 1 / 3, 2 / 3, 1]) and rates[4] == 1 and (np.diff(rates[4:]) < 0).all()
    assert rates[7] == pytest.approx(0.5) and len(training.cosine_schedule(1.0, 0.0, 3, 9)) == 3


@pytest.mark.parametrize(
    ("device", "sentence"),
    [("banana", "There is no device 'banana'; use 'cpu' or 'cuda'."), ("cuda", "There is no CUDA device here")],
)
def test_a_device_that_is_not_there_is_named(device, sentence, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=sentence):
        training.checked_device(device)


def test_a_batch_is_shared_equally_or_not_at_all(monkeypatch):
    assert training.my_rows(7) == slice(0, 7)
    monkeypatch.setattr("lulc_utils.training.distributed.processes", lambda: 2)
    assert training.my_rows(8) == slice(0, 4)
    with pytest.raises(ValueError, match="A batch of 7 cannot be shared equally by 2 processes"):
        training.my_rows(7)
