"""Figures that a reader can operate without a kernel or a network: in the built book, even from a local file.

Each function returns an `Interactive`, which Jupyter shows as a piece of HTML that carries its own numbers, pictures
and a little plain JavaScript. Without scripts, and in print, a static picture takes its place.
"""

from lulc_utils.interactive.click_map import click_map, prepared_clicks
from lulc_utils.interactive.collapse import collapse
from lulc_utils.interactive.figure import LARGEST, Interactive
from lulc_utils.interactive.seasons import season_latitude
from lulc_utils.interactive.shift import shift_slider
from lulc_utils.interactive.similarity import similarity_explorer
from lulc_utils.interactive.swipe import swipe
from lulc_utils.interactive.try_it import try_it
from lulc_utils.interactive.weights import packed_backbone

__all__ = [
    "LARGEST",
    "Interactive",
    "click_map",
    "collapse",
    "packed_backbone",
    "prepared_clicks",
    "season_latitude",
    "shift_slider",
    "similarity_explorer",
    "swipe",
    "try_it",
]
