"""Scenes on an interactive map (folium): the image, its class map and a legend, aligned with the base map."""

from __future__ import annotations

import html

import folium
import numpy as np
from rasterio.enums import Resampling
from rasterio.transform import array_bounds, from_bounds
from rasterio.warp import reproject, transform_bounds

from .plot import class_map, rgb
from .scene import UNLABELLED, Scene

WEB_MERCATOR = "EPSG:3857"  # what the browser draws in: an image in any other system would sit askew


def scene_map(scene: Scene, *, pixels: int = 256, opacity: float = 0.6, base_map: bool = False) -> folium.Map:
    """A map with the scene, its labels (if any) as a second layer, a layer switch and a legend.

    pixels    longest side of the drawn image; more makes the page heavier (256 is about 150 kB)
    opacity   of the class map, 0 to 1
    base_map  also offer OpenStreetMap tiles, the only part that needs the network

    ValueError when the scene has no coordinate reference system.
    """
    west, south, east, north = scene.bounds_latlon()
    drawn = folium.Map(tiles=None, control_scale=True, zoom_control=True)
    # only Leaflet itself: folium's other scripts and fonts are for things this map does not have
    drawn.default_js = [(name, url) for name, url in drawn.default_js if name == "leaflet"]
    drawn.default_css = [(name, url) for name, url in drawn.default_css if name == "leaflet_css"]
    if base_map:
        folium.TileLayer("OpenStreetMap", name="base map").add_to(drawn)
    picture = np.dstack([rgb(scene), np.where(scene.valid, 255, 0).astype(np.uint8)])
    _overlay(scene, picture, "image", 1.0, pixels, Resampling.average).add_to(drawn)
    if scene.labels is not None:
        known = np.where(scene.labels == UNLABELLED, 0, 255).astype(np.uint8)
        colors = np.dstack([class_map(scene.labels, scene.classes), known])
        _overlay(scene, colors, "land cover", opacity, pixels, Resampling.nearest).add_to(drawn)
        drawn.get_root().html.add_child(folium.Element(_legend(scene)))
    folium.LayerControl(collapsed=False).add_to(drawn)
    drawn.fit_bounds([[south, west], [north, east]])
    return drawn


def _overlay(scene: Scene, picture: np.ndarray, name: str, opacity: float, pixels: int, resampling):
    """Warp a (rows, cols, 4) picture to the map's projection and wrap it as a layer."""
    area = transform_bounds(scene.crs, WEB_MERCATOR, *array_bounds(scene.height, scene.width, scene.transform))
    scale = pixels / max(area[2] - area[0], area[3] - area[1])
    width, height = (max(1, round((area[i + 2] - area[i]) * scale)) for i in (0, 1))
    warped = np.zeros((4, height, width), np.uint8)
    reproject(
        np.moveaxis(picture, -1, 0),
        warped,
        src_transform=scene.transform,
        src_crs=scene.crs,
        dst_transform=from_bounds(*area, width, height),
        dst_crs=WEB_MERCATOR,
        resampling=resampling,
    )
    west, south, east, north = transform_bounds(WEB_MERCATOR, "EPSG:4326", *area)
    return folium.raster_layers.ImageOverlay(
        np.moveaxis(warped, 0, -1),
        [[south, west], [north, east]],
        name=name,
        opacity=opacity,
        alt=f"{scene.source}: {name}",
        pixelated=resampling is Resampling.nearest,
    )


def _legend(scene: Scene) -> str:
    rows = "".join(
        f'<div><span style="display:inline-block;width:1em;height:1em;border:1px solid #000;'
        f'background:{c.color}"></span> {html.escape(c.name)}</div>'
        for c in scene.classes
    )
    return (
        '<div style="position:absolute;z-index:9999;bottom:2em;right:1em;background:#fff;color:#000;'
        f'padding:.5em .8em;border:1px solid #666;font:13px sans-serif"><b>{html.escape(scene.name)}</b>{rows}</div>'
    )
