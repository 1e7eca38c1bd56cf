"""What all tests share: the scripts of the book can be imported."""

import sys
from pathlib import Path

import matplotlib

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))
matplotlib.use("Agg")
