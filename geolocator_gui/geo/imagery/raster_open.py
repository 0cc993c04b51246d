"""A raster file through GDAL: what it is, whether it can be used, and windows of it in EPSG:3857."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.base import Pixels, Valid
from geolocator_gui.geo.projection import HALF_WORLD_M

_DRIVERS = ("GTiff", "COG", "VRT", "PNG", "JPEG", "WEBP", "JP2OpenJPEG", "HFA", "GPKG", "BMP", "AAIGrid")
_ENVIRONMENT = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR_EXCEPT_SIDECAR",
    "GDAL_CACHEMAX": 256,
    "GDAL_PAM_ENABLED": "NO",
    "VRT_SHARED_SOURCE": 0,
    "GDAL_HTTP_MAX_RETRY": 4,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_TIMEOUT": 60,
}
_CODEC_WORDS = ("codec", "compression", "not supported", "unsupported")
_MAX_SAMPLE_PX = 1024


class Raster:
    """An open raster and its warped view.

    Attributes:
        bounds: West, south, east, north in EPSG:3857 metres.
        resolution: EPSG:3857 metres per pixel of the warped view.
        kind: "geotiff", "vrt" or the driver's name in small letters.
        crs: Authority code, or the name of the coordinate system.
        stretch: Low and high value that become 0 and 255; None for 8-bit data.
    """

    def __init__(self, path: Path | str, crs: str | None = None) -> None:
        """Open and check; raises `ImageryError` in the user's words."""
        import rasterio
        from rasterio.errors import RasterioError

        # Left over from other installations these point GDAL and PROJ at data of another version.
        for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA"):
            os.environ.pop(name, None)
        self.path = path
        self._stack = contextlib.ExitStack()
        self._environment = rasterio.Env(**_ENVIRONMENT)
        if "://" not in str(path) and not Path(path).is_file():
            raise ImageryError("the imagery file does not exist", path=path)
        try:
            with self._environment:
                self._open(path, crs)
        except (RasterioError, OSError, ValueError) as error:
            self.close()
            raise ImageryError(f"the raster cannot be used ({_words(error)})", path=path) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def window(
        self, west: float, north: float, resolution: float, size: int
    ) -> tuple[NDArray[Any], Valid] | None:
        """A square of the warped view; None when its blocks cannot be read.

        Args:
            west: EPSG:3857 metres of the left edge.
            north: EPSG:3857 metres of the upper edge.
            resolution: EPSG:3857 metres per pixel, the view's own or a multiple.
            size: Pixels per side.

        Returns:
            (bands, size, size) values, and (size, size) where there is data.
        """
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        step = resolution / self.resolution
        left, top = (west - self.bounds[0]) / self.resolution, (self.bounds[3] - north) / self.resolution
        first_column, first_row = max(0, round(left)), max(0, round(top))
        last_column = min(self._view.width, round(left + size * step))
        last_row = min(self._view.height, round(top + size * step))
        bands = np.zeros((len(self._bands), size, size), self._view.dtypes[0])
        mask = np.zeros((size, size), bool)
        if first_column >= last_column or first_row >= last_row:
            return bands, mask
        a, b = (round((edge - left) / step) for edge in (first_column, last_column))
        c, d = (round((edge - top) / step) for edge in (first_row, last_row))
        if b <= a or d <= c:
            return bands, mask
        how = Resampling.nearest if step == 1 else Resampling.average
        window = Window(first_column, first_row, last_column - first_column, last_row - first_row)
        try:
            with self._environment:
                values = self._view.read(
                    [*self._bands, self._alpha],
                    window=window, out_shape=(len(self._bands) + 1, d - c, b - a), resampling=how,
                )  # fmt: skip
        except (RasterioError, OSError):
            if "://" not in str(self.path) and not Path(self.path).exists():
                raise ImageryError("the imagery is gone", path=self.path) from None
            return None
        bands[:, c:d, a:b] = values[:-1]
        mask[c:d, a:b] = values[-1] >= self._opaque
        return bands, mask

    def to_rgb(self, bands: NDArray[Any]) -> Pixels:
        """(b, h, w) values to (h, w, 3) uint8, greys repeated, wider types stretched."""
        values = bands
        if self.stretch is not None:
            low, high = self.stretch
            scaled = (np.nan_to_num(values.astype(np.float32)) - low) / (high - low) * 255.0
            values = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        if values.shape[0] == 1:
            values = np.repeat(values, 3, axis=0)
        return np.ascontiguousarray(values.transpose(1, 2, 0))

    def _open(self, path: Path | str, crs: str | None) -> None:
        import rasterio
        from rasterio.enums import ColorInterp

        source = self._stack.enter_context(rasterio.open(path))
        if source.driver not in _DRIVERS:
            raise ImageryError(
                f"files of the kind {source.driver} are not read as imagery",
                path=path,
                hint="Convert it to a GeoTIFF.",
            )
        self.kind = {"GTiff": "geotiff", "COG": "geotiff"}.get(source.driver, source.driver.lower())
        self.width, self.height, self.bands = source.width, source.height, source.count
        self.dtype = str(source.dtypes[0]) if source.count else "none"
        tags = source.tags()
        self.attribution = str(tags.get("TIFFTAG_COPYRIGHT", tags.get("ATTRIBUTION", "")))[:500]
        self.licence = str(tags.get("LICENSE", tags.get("LICENCE", "")))[:500]
        if not source.count:
            raise ImageryError("the file holds no bands", path=path)
        if "complex" in self.dtype:
            raise ImageryError(f"the values are complex numbers ({self.dtype}), not a picture", path=path)
        source_crs = self._checked_crs(source, crs)
        if source.count == 1 and source.colorinterp[0] == ColorInterp.palette:
            source = self._stack.enter_context(rasterio.open(_without_palette(source)))
        self._set_view(source, source_crs)
        self.stretch = self._stretch()

    def _checked_crs(self, source: Any, asked: str | None) -> Any:
        import pyproj
        from rasterio.crs import CRS
        from rasterio.errors import CRSError

        points, points_crs = source.gcps
        if source.transform.is_identity and not points:
            raise ImageryError(
                "the picture has no position on the Earth",
                path=self.path,
                hint="Take a GeoTIFF, or put a world file (.jgw, .pgw, .tfw) beside the picture.",
            )
        try:
            found = CRS.from_user_input(asked) if asked else (source.crs or points_crs)
        except CRSError as error:
            raise ImageryError(f"the coordinate system {asked!r} is not known", path=self.path) from error
        if not found:
            raise ImageryError(
                "the picture does not say in which coordinate system its position is",
                path=self.path,
                hint="Name it after the file, for example picture.jpg?crs=EPSG:25832; it is never guessed.",
            )
        try:
            known = pyproj.CRS.from_wkt(found.to_wkt())
        except pyproj.exceptions.CRSError as error:
            raise ImageryError(f"its coordinate system cannot be used ({error})", path=self.path) from error
        ellipsoid = known.ellipsoid
        if ellipsoid is None or not (
            known.is_geographic or known.is_projected or known.is_bound or known.is_compound
        ):
            raise ImageryError(
                f"its coordinate system {known.name!r} is a local one without a place on the Earth",
                path=self.path,
                hint="Georeference it in a coordinate system such as UTM.",
            )
        if not 6.33e6 < ellipsoid.semi_major_metre < 6.42e6:
            raise ImageryError(f"its coordinate system {known.name!r} is not of the Earth", path=self.path)
        authority = known.to_authority()
        self.crs = ":".join(authority) if authority else known.name
        return found

    def _set_view(self, source: Any, crs: Any) -> None:
        from rasterio.enums import ColorInterp, Resampling
        from rasterio.transform import Affine
        from rasterio.vrt import WarpedVRT
        from rasterio.warp import calculate_default_transform

        own = source.transform
        aligned = (
            crs.to_epsg() == 3857 and own.b == own.d == 0 and own.a > 0 and abs(own.a + own.e) < 1e-9 * own.a
        )
        if aligned:
            west, north, self.resolution = own.c, own.f, own.a
            width, height = source.width, source.height
        else:
            points, _ = source.gcps
            where = (
                {"gcps": points}
                if points
                else dict(zip(("left", "bottom", "right", "top"), source.bounds, strict=True))
            )
            default, width, height = calculate_default_transform(
                crs, "EPSG:3857", source.width, source.height, **where
            )
            west, north, self.resolution = default.c, default.f, default.a
        self.bounds = (west, north - height * self.resolution, west + width * self.resolution, north)
        if not np.isfinite(self.bounds).all() or min(self.bounds[2] - west, north - self.bounds[1]) <= 0:
            raise ImageryError("its extent on the Earth makes no sense", path=self.path)
        if self.bounds[3] > HALF_WORLD_M * 1.01 or self.bounds[1] < -HALF_WORLD_M * 1.01:
            raise ImageryError(
                "it reaches beyond 85.05 degrees of latitude, where Web-Mercator ends", path=self.path
            )
        meanings = list(source.colorinterp)
        has_alpha = ColorInterp.alpha in meanings
        options: dict[str, Any] = {"add_alpha": not has_alpha, "UNIFIED_SRC_NODATA": "YES"}
        if source.nodata is not None:
            options["src_nodata"] = source.nodata
        self._view = self._stack.enter_context(
            WarpedVRT(
                source,
                src_crs=crs,
                crs="EPSG:3857",
                transform=Affine(self.resolution, 0, west, 0, -self.resolution, north),
                width=width,
                height=height,
                resampling=Resampling.nearest if aligned else Resampling.bilinear,
                **options,
            )
        )
        self._alpha = meanings.index(ColorInterp.alpha) + 1 if has_alpha else self._view.count
        self._opaque = 1 if source.dtypes[0] == "uint8" and not has_alpha else _half_of(source.dtypes[0])
        colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        if all(colour in meanings for colour in colours):
            self._bands = [meanings.index(colour) + 1 for colour in colours]
        else:
            plain = [number + 1 for number, meaning in enumerate(meanings) if meaning != ColorInterp.alpha]
            self._bands = plain[:3] if len(plain) >= 3 else plain[:1]
        if not self._bands:
            raise ImageryError("the file holds no picture, only a mask", path=self.path)

    def _stretch(self) -> tuple[float, float] | None:
        """Values that become 0 and 255, from a thinned-out look at the whole raster."""
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioError

        shrink = max(1.0, max(self._view.width, self._view.height) / _MAX_SAMPLE_PX)
        eight_bit = self._view.dtypes[0] == "uint8"
        shape = (max(1, int(self._view.height / shrink)), max(1, int(self._view.width / shrink)))
        if eight_bit:
            self._probe()
            return None
        try:
            values = self._view.read(
                [*self._bands, self._alpha],
                out_shape=(len(self._bands) + 1, *shape),
                resampling=Resampling.nearest,
            )
        except RasterioError as error:
            raise ImageryError(f"its pixels cannot be decoded ({_words(error)})", path=self.path) from error
        sample = values[:-1][:, values[-1] >= self._opaque]
        sample = sample[np.isfinite(sample)]
        if not sample.size:
            raise ImageryError("the raster holds no data", path=self.path)
        low, high = (float(edge) for edge in np.percentile(sample, [0.5, 99.5]))
        if (
            self._view.dtypes[0] in ("uint16", "int16", "int32", "uint32")
            and low >= 0
            and sample.max() <= 255
        ):
            return 0.0, 255.0
        return (low, high) if high > low else (low, low + 1.0)

    def _probe(self) -> None:
        """Read one pixel, so that a compression that GDAL lacks is said now and not for every block."""
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        try:
            self._view.read(1, window=Window(self._view.width // 2, self._view.height // 2, 1, 1))
        except RasterioError as error:
            if any(word in _words(error).lower() for word in _CODEC_WORDS):
                raise ImageryError(
                    f"its pixels cannot be decoded ({_words(error)})", path=self.path
                ) from error


def _half_of(dtype: str) -> float:
    kind = np.dtype(dtype)
    return float(np.iinfo(kind).max) / 2 if kind.kind in "ui" else 0.5


def _words(error: BaseException) -> str:
    """The innermost reason; GDAL's is behind rasterio's "see previous exception"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).split("\n")[0]


def _without_palette(source: Any) -> str:
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
