"""Checks of a raster file before it is used, in the user's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from geolocator_gui.errors import ImageryError


def usable_crs(source: Any, asked: str | None, path: Path | str) -> tuple[Any, str]:
    """The coordinate system of an opened raster, and its code or name.

    Raises:
    ImageryError: It has no position, does not say in which system, or that is not one of the Earth.
    """
    import pyproj
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    points, points_crs = source.gcps
    if source.transform.is_identity and not points:
        raise ImageryError(
            "the picture has no position on the Earth",
            path=path,
            hint="Take a GeoTIFF, or put a world file (.jgw, .pgw, .tfw) beside the picture.",
        )
    try:
        found = CRS.from_user_input(asked) if asked else (source.crs or points_crs)
    except CRSError as error:
        raise ImageryError(f"the coordinate system {asked!r} is not known", path=path) from error
    if not found:
        raise ImageryError(
            "the picture does not say in which coordinate system its position is",
            path=path,
            hint="Name it after the file, for example picture.jpg?crs=EPSG:25832; it is never guessed.",
        )
    try:
        known = pyproj.CRS.from_wkt(found.to_wkt())
    except pyproj.exceptions.CRSError as error:
        raise ImageryError(f"its coordinate system cannot be used ({error})", path=path) from error
    ellipsoid = known.ellipsoid
    if ellipsoid is None or not (
        known.is_geographic or known.is_projected or known.is_bound or known.is_compound
    ):
        raise ImageryError(
            f"its coordinate system {known.name!r} is a local one without a place on the Earth",
            path=path,
            hint="Georeference it in a coordinate system such as UTM.",
        )
    if not 6.33e6 < ellipsoid.semi_major_metre < 6.42e6:
        raise ImageryError(f"its coordinate system {known.name!r} is not of the Earth", path=path)
    authority = known.to_authority()
    return found, ":".join(authority) if authority else known.name


def gdal_errors() -> tuple[type[Exception], ...]:
    """What rasterio raises: its own errors, GDAL's untranslated, and what absurd numbers lead to."""
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    return (RasterioError, CPLE_BaseError, OSError, ValueError, ArithmeticError)


def words(error: BaseException) -> str:
    """The innermost reason; GDAL's is behind rasterio's "see previous exception"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).split("\n")[0]


def without_palette(source: Any) -> str:
    """A VRT in memory whose bands are a palette's red, green, blue and alpha."""
    size = f'rasterXSize="{source.width}" rasterYSize="{source.height}"'
    rectangle = f'xOff="0" yOff="0" xSize="{source.width}" ySize="{source.height}"'
    transform = ", ".join(repr(float(value)) for value in source.transform.to_gdal())
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><ColorInterp>{name}</ColorInterp><ComplexSource>'
        f'<SourceFilename relativeToVRT="0">{escape(source.name)}</SourceFilename><SourceBand>1</SourceBand>'
        f"<SrcRect {rectangle}/><DstRect {rectangle}/>"
        f"<ColorTableComponent>{number}</ColorTableComponent></ComplexSource></VRTRasterBand>"
        for number, name in enumerate(("Red", "Green", "Blue", "Alpha"), start=1)
    )
    reference = f"<SRS>{escape(source.crs.to_wkt())}</SRS>" if source.crs else ""
    return f"<VRTDataset {size}>{reference}<GeoTransform>{transform}</GeoTransform>{bands}</VRTDataset>"
