"""One alpha band for all that says where a raster was measured, so that GDAL warps by it.

GDAL warps by one nodata value for all bands, or by an alpha band, or by a mask, and never by more than one of these;
a VRT brings them together without copying a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.io import DatasetReader

from lulc_utils.reading import masked_bands, plain_bands


def with_alpha(file: DatasetReader, bands: Sequence[int]) -> str:
    """A VRT of the raster, as text that rasterio opens: its bands without nodata, and one alpha band behind them.

    bands   those in which a pixel must be measured to count: its alpha is then not 0
    """
    alphas = [b for b in file.indexes if b not in plain_bands(file)]
    masks = [f"mask,{b}" for b in masked_bands(file, bands)] + alphas
    product = [_source(file, b) for b in (masks if len(masks) > 1 else masks * 2)]  # GDAL's product needs two
    drawn = "".join(
        f'<VRTRasterBand dataType="{typename_fwd[dtype_rev[file.dtypes[b - 1]]]}" band="{b}">{_source(file, b)}'
        "</VRTRasterBand>"
        for b in file.indexes
    )
    return (
        f'<VRTDataset rasterXSize="{file.width}" rasterYSize="{file.height}"><SRS>{escape(file.crs.to_wkt())}</SRS>'
        f"<GeoTransform>{', '.join(map(repr, file.transform.to_gdal()))}</GeoTransform>{drawn}"
        f'<VRTRasterBand dataType="Byte" band="{file.count + 1}" subClass="VRTDerivedRasterBand">'
        f"<ColorInterp>Alpha</ColorInterp><PixelFunctionType>mul</PixelFunctionType>"
        f"<SourceTransferType>Float64</SourceTransferType>{''.join(product)}</VRTRasterBand></VRTDataset>"
    )


def _source(file: DatasetReader, band: int | str) -> str:
    name = file.files[0] if "://" in file.name and file.files else file.name  # as GDAL writes it
    name = str(Path(name).resolve()) if Path(name).exists() else name
    link = f'<SourceFilename relativeToVRT="0">{escape(name)}</SourceFilename>'
    return f"<SimpleSource>{link}<SourceBand>{band}</SourceBand></SimpleSource>"
