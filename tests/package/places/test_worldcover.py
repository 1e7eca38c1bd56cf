"""Labels of a place from the tiles of ESA WorldCover."""

import numpy as np
import pytest
from rasterio.warp import transform
from served import BOX, get, make_item, write_worldcover

from lulc_utils import places
from lulc_utils.scene import UNLABELLED


def test_labels_are_the_nearest_worldcover_pixel(server):
    columns = write_worldcover(server)
    server.items = [make_item(server, "A")]
    scene = get(server, labels=True)
    assert scene.classes == places.WORLDCOVER_CLASSES
    x, y = scene.transform * np.meshgrid(np.arange(scene.width) + 0.5, np.arange(scene.height) + 0.5)
    lon = np.reshape(transform(scene.crs, "EPSG:4326", x.ravel(), y.ravel())[0], x.shape)
    truth = columns[((lon - 9) / 0.0005).astype(int)]
    number = np.array(places.WORLDCOVER_NUMBERS)[scene.labels]
    assert (number == truth).mean() > 0.99  # GDAL's coordinates are good to an eighth of a pixel
    assert set(scene.labels.ravel()) == {0, 2, 3, 7}


def test_where_worldcover_has_no_tile_nothing_is_labelled_and_it_says_so(server):
    server.items = [make_item(server, "A")]
    with pytest.warns(UserWarning, match="no tile http.*/wc_N45E009.tif; the ground there stays unlabelled"):
        assert (get(server, labels=True).labels == UNLABELLED).all()


@pytest.mark.parametrize("end", ["{tiles}", "{}", "{tile", "{tile.shape}", "{0}", "{tile!x}"])
def test_a_misspelled_placeholder_is_one_sentence(end):
    with pytest.raises(ValueError, match="may contain {tile}, {year} and {version} and no other braces, not 'x/"):
        places.place(BOX, "2023-07-01", worldcover=f"x/{end}.tif", catalog="http://127.0.0.1:9")


def test_tiles_of_worldcover():
    assert places.worldcover_tiles((9.1, 45.1, 9.2, 45.2)) == ["N45E009"]
    assert places.worldcover_tiles((8.9, 44.9, 9.1, 45.1)) == ["N42E006", "N42E009", "N45E006", "N45E009"]
    assert places.worldcover_tiles((-46.7, -23.6, -46.6, -23.5)) == ["S24W048"]
    assert places.worldcover_tiles((-0.5, -0.5, 0.5, 0.5)) == ["S03W003", "S03E000", "N00W003", "N00E000"]
    assert places.worldcover_tiles((6.0, 45.0, 9.0, 48.0)) == ["N45E006"]
    url = places.WORLDCOVER.format(tile="N45E009", year=2021, version="v200")
    assert url.endswith("/v200/2021/map/ESA_WorldCover_10m_2021_v200_N45E009_Map.tif")
