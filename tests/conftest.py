"""What all tests share: the scripts of the book can be imported."""

import sys
from pathlib import Path

import matplotlib
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))
matplotlib.use("Agg")


@pytest.fixture(scope="module")
def one_thread():
    """Networks this small lose more to threads that wait for each other than they gain, above all when others work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
