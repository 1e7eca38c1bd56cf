"""Simulated aerial photographs: very-high-resolution RGB at 0.5 m, with the class of every pixel known."""

from lulc_utils.simulate.aerial.scene import aerial, aerial_scenes

__all__ = ["aerial", "aerial_scenes"]
