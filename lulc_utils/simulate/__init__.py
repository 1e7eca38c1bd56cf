"""Simulated landscapes: every pixel's truth is known, and nothing has to be downloaded."""

from lulc_utils.simulate.aerial import AERIAL_CLASSES, aerial, aerial_scenes

__all__ = ["AERIAL_CLASSES", "aerial", "aerial_scenes"]
