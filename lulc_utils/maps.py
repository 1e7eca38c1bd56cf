"""Scenes on an interactive map (folium): the image, its class map and a legend, aligned with the base map."""

from __future__ import annotations

import folium
import numpy as np
from branca.element import MacroElement
from jinja2 import Template
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_bounds
from rasterio.warp import reproject

from lulc_utils.literal import as_html, as_option
from lulc_utils.plot import class_map, rgb
from lulc_utils.scene import UNLABELLED, Scene

TILE_HOSTS = ("tile.openstreetmap.org",)  # all that a map may ask for, and only with `base_map=True`
WEB_MERCATOR = "EPSG:3857"  # what the browser draws in: an image in any other system would sit askew
RADIUS = 6378137.0  # meters, of the sphere of that system
NORTHMOST = 85.0512  # degrees, where a web map ends
LAYOUT = """<style>
body { display: flex; flex-direction: column; background: #fff; color: #000; font: 13px sans-serif; }
.folium-map { flex: 1; min-height: 0; height: auto !important; }
.sliders { order: -1; display: flex; gap: 1.5em; padding: .3em .8em; }
.sliders label { flex: 2; } .sliders label + label { flex: 1; } .sliders input { width: 100%; margin: 0; }
.legend { display: flex; flex-wrap: wrap; gap: .1em 1em; padding: .3em .8em; }
.legend span { display: inline-block; width: 1em; height: 1em; border: 1px solid #000; vertical-align: -.1em; }
</style>"""  # sliders and legend stand above the map: they cover nothing of it, however narrow its frame is


def scene_map(
    scene: Scene, *, pixels: int = 256, opacity: float = 0.75, base_map: bool = False, caption: str = ""
) -> folium.Map:
    """A map with the scene, its labels (if any) as a second layer, a layer switch and a legend.

    pixels    longest side of the drawn image; more makes the page heavier (256 is about 150 kB)
    opacity   of the class map, 0 to 1
    base_map  also offer OpenStreetMap tiles, the only part that needs the network
    caption   stands below the map in a notebook or a book

    ValueError when the scene has no coordinate reference system, or lies too near to a pole for a web map.
    """
    drawn = _empty_map(scene, base_map, caption)
    _image(scene, pixels).add_to(drawn)
    if scene.labels is not None:
        _labels(scene, "land cover", opacity, pixels).add_to(drawn)
        drawn.get_root().html.add_child(folium.Element(_legend(scene, scene.name)))
    folium.LayerControl(collapsed=False).add_to(drawn)
    return drawn


def comparison(
    left: Scene,
    right: Scene,
    *,
    pixels: int = 256,
    opacity: float = 0.8,
    base_map: bool = False,
    caption: str = "",
) -> folium.Map:
    """A map with the labels of two scenes of one place side by side, and sliders for the border and the opacity.

    left, right    scenes with labels of the same classes; the image below is that of `left`
    pixels, opacity, base_map, caption    as in `scene_map`

    ValueError when a scene has no labels or no coordinate reference system, or the classes differ.
    """
    if left.labels is None or right.labels is None or left.classes != right.classes:
        raise ValueError(f"To compare '{left.name}' and '{right.name}' both need labels of the same classes.")
    drawn = _empty_map(left, base_map, caption)
    _image(left, pixels).add_to(drawn)
    for pane, scene in (("left", left), ("right", right)):
        folium.map.CustomPane(pane, z_index=450).add_to(drawn)
        _labels(scene, f"{pane}: {scene.name}", 1.0, pixels, pane=pane).add_to(drawn)
    drawn.get_root().html.add_child(folium.Element(_legend(left) + _sliders(left, right, opacity)))
    _Divider().add_to(drawn)
    return drawn


class _Map(folium.Map):
    """A map with a caption, whose frame has a title in English, by which a screen reader announces it."""

    title = caption = ""

    def _repr_html_(self, **kwargs) -> str:
        page = super()._repr_html_(**kwargs)
        titled = page.replace("<iframe ", f'<iframe title="{as_html(self.title)}" ', 1)
        framed = titled.replace("&lt;html&gt;", "&lt;html lang=&quot;en&quot;&gt;", 1)
        if not self.caption:
            return framed
        below = f'<figcaption style="margin-top:.5em;text-align:left">{as_html(self.caption)}</figcaption>'
        return f'<figure class="lulc-map" style="margin:1em 0">{framed}{below}</figure>'


class _Divider(MacroElement):
    """Shows each pane on its side of the border; Leaflet's other plugins would have to be fetched from the network."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        (function () {
            var map = {{ this._parent.get_name() }};
            var border = document.getElementById("border"), opacity = document.getElementById("opacity");
            function draw() {
                var size = map.getSize(), x = size.x * border.value / 100;
                var a = map.containerPointToLayerPoint([0, 0]), b = map.containerPointToLayerPoint(size);
                var at = map.containerPointToLayerPoint([x, 0]).x;
                [["left", a.x, at], ["right", at, b.x]].forEach(function (side) {
                    var style = map.getPane(side[0]).style;
                    style.clip = "rect(" + a.y + "px," + side[2] + "px," + b.y + "px," + side[1] + "px)";
                    style.opacity = opacity.value / 100;
                });
            }
            map.on("move zoomend resize", draw);
            border.addEventListener("input", draw);
            opacity.addEventListener("input", draw);
            draw();
        })();
        {% endmacro %}
        """
    )


def _sliders(left: Scene, right: Scene, opacity: float) -> str:
    slider = '<input id="{}" type="range" min="0" max="100" value="{:.0f}">'
    return (
        f'<div class="sliders"><label>{as_html(left.name)} | {as_html(right.name)}{slider.format("border", 50)}</label>'
        f"<label>opacity{slider.format('opacity', 100 * opacity)}</label></div>"
    )


def _empty_map(scene: Scene, base_map: bool, caption: str) -> folium.Map:
    """A map of the scene's surroundings with nothing on it but, if wanted, OpenStreetMap."""
    _, _, corners = _place(scene)
    # the wheel scrolls the page, not the map; zoom in quarters, so that the scene fills its frame
    drawn = _Map(tiles=None, control_scale=True, zoom_control=True, zoom_snap=0.25, scroll_wheel_zoom=False)
    drawn.get_root().header.add_child(folium.Element(LAYOUT))
    drawn.title, drawn.caption = f"Map of {scene.name} ({scene.source})", caption
    # only Leaflet itself: folium's other scripts and fonts are for things this map does not have
    drawn.default_js = [(name, url) for name, url in drawn.default_js if name == "leaflet"]
    drawn.default_css = [(name, url) for name, url in drawn.default_css if name == "leaflet_css"]
    if base_map:
        folium.TileLayer("OpenStreetMap", name="base map").add_to(drawn)
    drawn.fit_bounds(corners)
    return drawn


def _place(scene: Scene) -> tuple[str, tuple[float, ...], list[list[float]]]:
    """(projection of the browser, bounds in it, [[south, west], [north, east]] in degrees) of a scene.

    Across 180 degrees the projection is centered on the scene and longitudes go on, which Leaflet understands.
    ValueError when the scene has no place, or reaches beyond what a web map shows.
    """
    west, south, east, north = scene.bounds_latlon()
    if max(-south, north) > NORTHMOST:
        raise ValueError(
            f"Scene '{scene.name}' reaches beyond {NORTHMOST:.0f} degrees of latitude, where a web map ends; "
            "write it with raster.write_scene and open it in a GIS."
        )
    center = (west + east) / 2 if west < -180 or east > 180 else 0.0
    crs = f"+proj=merc +a={RADIUS} +b={RADIUS} +lon_0={center} +units=m +nadgrids=@null" if center else WEB_MERCATOR
    left, right = (RADIUS * np.radians(lon - center) for lon in (west, east))
    bottom, top = (RADIUS * np.arcsinh(np.tan(np.radians(lat))) for lat in (south, north))
    return crs, (left, bottom, right, top), [[south, west], [north, east]]


def _within_turn(scene: Scene) -> Affine:
    """The scene's transform; longitudes of a geographic one are those of `bounds_latlon`, as 359 may also be -1."""
    if not scene.crs.is_geographic:
        return scene.transform
    middle, _ = scene.transform * (scene.width / 2, scene.height / 2)
    west, _, east, _ = scene.bounds_latlon()
    return Affine.translation(360 * round(((west + east) / 2 - middle) / 360), 0) * scene.transform


def _image(scene: Scene, pixels: int) -> folium.raster_layers.ImageOverlay:
    picture = np.dstack([rgb(scene), np.where(scene.valid, 255, 0).astype(np.uint8)])
    return _overlay(scene, picture, "image", 1.0, pixels, Resampling.average)


def _labels(scene: Scene, name: str, opacity: float, pixels: int, **options) -> folium.raster_layers.ImageOverlay:
    known = np.where(scene.labels == UNLABELLED, 0, 255).astype(np.uint8)
    colors = np.dstack([class_map(scene.labels, scene.classes), known])
    return _overlay(scene, colors, name, opacity, pixels, Resampling.nearest, **options)


def _overlay(
    scene: Scene, picture: np.ndarray, name: str, opacity: float, pixels: int, resampling: Resampling, **options
) -> folium.raster_layers.ImageOverlay:
    """Warp a (rows, cols, 4) picture to the map's projection and wrap it as a layer."""
    crs, area, corners = _place(scene)
    scale = pixels / max(area[2] - area[0], area[3] - area[1])
    width, height = (max(1, round((area[i + 2] - area[i]) * scale)) for i in (0, 1))
    warped = np.zeros((4, height, width), np.uint8)
    reproject(
        np.moveaxis(picture, -1, 0),
        warped,
        src_transform=_within_turn(scene),
        src_crs=scene.crs,
        dst_transform=from_bounds(*area, width, height),
        dst_crs=crs,
        resampling=resampling,
    )
    return folium.raster_layers.ImageOverlay(
        np.moveaxis(warped, 0, -1),
        corners,
        name=as_html(name),  # Leaflet's layer switch reads it as HTML
        opacity=opacity,
        alt=as_option(f"{scene.source}: {name}"),
        pixelated=resampling is Resampling.nearest,
        **options,
    )


def _legend(scene: Scene, title: str = "") -> str:
    entries = "".join(
        f'<div><span style="background:{as_html(c.color)}"></span> {as_html(c.name)}</div>' for c in scene.classes
    )
    named = f"<b>{as_html(title)}</b>" if title else ""
    return f'<div class="legend">{named}{entries}</div>'
