"""A raster file through GDAL: what it is, whether it can be used, and windows of it in EPSG:3857."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.errors import ImageryError
from geolocator_gui.geo.imagery.address import host_of
from geolocator_gui.geo.imagery.base import Pixels, Valid
from geolocator_gui.geo.imagery.fetch import USER_AGENT
from geolocator_gui.geo.imagery.raster_crs import gdal_errors, usable_crs, without_palette, words
from geolocator_gui.geo.projection import HALF_WORLD_M

_DRIVERS = ("GTiff", "COG", "VRT", "PNG", "JPEG", "WEBP", "JP2OpenJPEG", "HFA", "GPKG", "BMP", "AAIGrid")
_ENVIRONMENT = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    "GDAL_CACHEMAX": 256,
    "VRT_SHARED_SOURCE": 0,
    "GDAL_HTTP_MAX_RETRY": 4,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_USERAGENT": USER_AGENT,
}
_CODEC_WORDS = ("codec", "compression", "not supported", "unsupported")
_MAX_SAMPLE_PX = 1024
# Nobody takes pictures of the Earth with pixels of a tenth of a millimetre.
_FARTHEST = 1e9  # no coordinate of any system is larger; GDAL would search for such a place without end
_FINEST_M = 1e-4


class Raster:
    """An open raster and its warped view.

    Attributes:
        bounds: West, south, east, north in EPSG:3857 metres.
        resolution: EPSG:3857 metres per pixel of the warped view.
        kind: "geotiff", "vrt" or the driver's name in small letters.
        crs: Authority code, or the name of the coordinate system.
        reason: Why a window could not be read last, in GDAL's words; "" where all could.
        stretch: Low and high value that become 0 and 255; None for 8-bit data.
    """

    def __init__(self, path: Path | str, crs: str | None = None) -> None:
        """Open and check; raises `ImageryError` in the user's words."""
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning

        # That a file has no position is said by an error of our own.
        warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
        # The log of GDAL names addresses, and with them keys; what goes wrong is raised as well.
        logging.getLogger("rasterio").setLevel(logging.CRITICAL)
        # Left over from other installations these point GDAL and PROJ at data of another version.
        for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA"):
            os.environ.pop(name, None)
        self.path = path
        self.reason = ""
        self.label = host_of(str(path))
        self._stack = contextlib.ExitStack()
        self._environment = rasterio.Env(**_ENVIRONMENT)
        if "://" not in str(path) and not Path(path).is_file():
            raise ImageryError("the imagery file does not exist", path=self.label)
        try:
            with self._environment:
                self._open(path, crs)
        except gdal_errors() as error:
            self.close()
            raise ImageryError(
                f"the raster cannot be used ({self._words(error)})", path=self.label
            ) from error
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
        from rasterio.windows import Window

        bands = np.zeros((len(self._bands), size, size), self._dtype)
        mask = np.zeros((size, size), bool)
        try:
            with self._environment:
                view = self._view(max(1, round(resolution / self.resolution)))
                left = round((west - self.bounds[0]) / resolution)
                top = round((self.bounds[3] - north) / resolution)
                a, b = max(0, left), min(view.width, left + size)
                c, d = max(0, top), min(view.height, top + size)
                if a >= b or c >= d:
                    return bands, mask
                values = view.read([*self._bands, self._alpha], window=Window(a, c, b - a, d - c))
        except gdal_errors() as error:
            self.reason = self._words(error)
            if "://" not in str(self.path) and not Path(self.path).exists():
                raise ImageryError("the imagery is gone", path=self.label) from None
            return None
        place = np.s_[c - top : d - top, a - left : b - left]
        bands[:, place[0], place[1]] = values[:-1]
        mask[place] = values[-1] >= self._opaque
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

        source = self._file = self._stack.enter_context(rasterio.open(path))
        if source.driver not in _DRIVERS:
            raise ImageryError(
                f"files of the kind {source.driver} are not read as imagery",
                path=self.label,
                hint="Convert it to a GeoTIFF.",
            )
        self.kind = {"GTiff": "geotiff", "COG": "geotiff"}.get(source.driver, source.driver.lower())
        self.width, self.height, self.bands = source.width, source.height, source.count
        self.dtype = str(source.dtypes[0]) if source.count else "none"
        tags = source.tags()
        self.attribution = str(tags.get("TIFFTAG_COPYRIGHT", tags.get("ATTRIBUTION", "")))[:500]
        self.licence = str(tags.get("LICENSE", tags.get("LICENCE", "")))[:500]
        if not source.count:
            raise ImageryError("the file holds no bands", path=self.label)
        if "complex" in self.dtype:
            raise ImageryError(
                f"the values are complex numbers ({self.dtype}), not a picture", path=self.label
            )
        source_crs, self.crs = usable_crs(source, crs, self.label)
        if source.count == 1 and source.colorinterp[0] == ColorInterp.palette:
            source = self._stack.enter_context(rasterio.open(without_palette(source)))
        self._place(source, source_crs)
        self.stretch = self._look()

    def _words(self, error: BaseException) -> str:
        """GDAL names the address, and with it a key."""
        said = words(error).replace(str(self.path), self.label)
        return re.sub(r"[^\s'\"]*://[^\s'\"]*", self.label, said)

    def _place(self, source: Any, crs: Any) -> None:
        """Choose the grid in EPSG:3857 that the raster is shown on, and which bands are shown."""
        from rasterio.enums import ColorInterp
        from rasterio.vrt import WarpedVRT
        from rasterio.warp import calculate_default_transform

        own = source.transform
        corners = [own @ (x, y) for x in (0, source.width) for y in (0, source.height)]
        corners += [(point.x, point.y) for point in source.gcps[0]]
        if not np.isfinite(corners).all() or np.abs(corners).max() > _FARTHEST:
            raise ImageryError("its extent on the Earth makes no sense", path=self.label)
        if source.gcps[0]:  # placed by control points: warped once on a grid of GDAL's choice
            add = {"add_alpha": ColorInterp.alpha not in source.colorinterp}
            source = self._stack.enter_context(WarpedVRT(source, src_crs=crs, crs="EPSG:3857", **add))
            crs = source.crs
        own = source.transform
        square = own.b == own.d == 0 and own.a > 0 and abs(own.a + own.e) < 1e-9 * own.a
        self._aligned = crs.to_epsg() == 3857 and square
        if self._aligned:
            west, north, self.resolution = own.c, own.f, own.a
            columns, rows = source.width, source.height
        else:
            default, columns, rows = calculate_default_transform(
                crs, "EPSG:3857", source.width, source.height, *source.bounds
            )
            west, north, self.resolution = default.c, default.f, default.a
        self.bounds = (west, north - rows * self.resolution, west + columns * self.resolution, north)
        sane = np.isfinite(self.bounds).all() and max(map(abs, self.bounds)) < 4 * HALF_WORLD_M
        if not sane or columns <= 0 or rows <= 0 or self.resolution < _FINEST_M:
            raise ImageryError("its extent on the Earth makes no sense", path=self.label)
        if self.bounds[3] > HALF_WORLD_M * 1.01 or self.bounds[1] < -HALF_WORLD_M * 1.01:
            raise ImageryError(
                "it reaches beyond 85.05 degrees of latitude, where Web-Mercator ends", path=self.label
            )
        self._size = (columns, rows)
        self._source, self._source_crs = source, crs
        self._views: dict[int, Any] = {}
        self._choose_bands(list(source.colorinterp))

    def _choose_bands(self, meanings: list[Any]) -> None:
        from rasterio.enums import ColorInterp

        self._dtype = self._source.dtypes[0]
        self._opaque = _half_of(self._dtype)
        self._has_alpha = ColorInterp.alpha in meanings
        self._alpha = meanings.index(ColorInterp.alpha) + 1 if self._has_alpha else len(meanings) + 1
        colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        plain = [number + 1 for number, meaning in enumerate(meanings) if meaning != ColorInterp.alpha]
        if all(colour in meanings for colour in colours):
            self._bands = [meanings.index(colour) + 1 for colour in colours]
        else:
            self._bands = plain[:3] if len(plain) >= 3 else plain[:1]
        if not self._bands:
            raise ImageryError("the file holds no picture, only a mask", path=self.label)

    def _view(self, step: int) -> Any:
        """The raster warped to the grid, thinned out `step` times by averaging."""
        from rasterio.enums import Resampling
        from rasterio.transform import Affine
        from rasterio.vrt import WarpedVRT

        if step not in self._views:
            source = self._overview(step)
            options: dict[str, Any] = {"add_alpha": not self._has_alpha, "UNIFIED_SRC_NODATA": "YES"}
            if source.nodata is not None:
                options["src_nodata"] = source.nodata
            how = Resampling.average
            if step == 1:
                how = Resampling.nearest if self._aligned else Resampling.bilinear
            resolution = self.resolution * step
            self._views[step] = self._stack.enter_context(
                WarpedVRT(
                    source,
                    src_crs=self._source_crs,
                    crs="EPSG:3857",
                    transform=Affine(resolution, 0, self.bounds[0], 0, -resolution, self.bounds[3]),
                    width=-(-self._size[0] // step),
                    height=-(-self._size[1] // step),
                    resampling=how,
                    **options,
                )
            )
        return self._views[step]

    def _overview(self, step: int) -> Any:
        """The file itself, or its coarsest overview that still has the detail."""
        import rasterio

        factors = self._source.overviews(1) if self._source is self._file else []
        fitting = [(factor, index) for index, factor in enumerate(factors) if factor <= step]
        if not fitting:
            return self._source
        return self._stack.enter_context(rasterio.open(self.path, OVERVIEW_LEVEL=max(fitting)[1]))

    def _look(self) -> tuple[float, float] | None:
        """The stretch; says now that the pixels cannot be decoded, and not for every block."""
        from rasterio.windows import Window

        eight_bit = self._dtype == "uint8"
        step = 1
        while not eight_bit and max(self._size) / step > _MAX_SAMPLE_PX:
            step *= 2
        try:
            view = self._view(step)
            middle = Window(view.width // 2, view.height // 2, 1, 1)
            values = view.read([*self._bands, self._alpha], window=middle if eight_bit else None)
        except gdal_errors() as error:
            # A damaged block is only missing; a compression that GDAL lacks spoils all of them.
            if eight_bit and not any(word in self._words(error).lower() for word in _CODEC_WORDS):
                return None
            raise ImageryError(
                f"its pixels cannot be decoded ({self._words(error)})", path=self.label
            ) from error
        return None if eight_bit else self._stretch(values)

    def _stretch(self, values: NDArray[Any]) -> tuple[float, float]:
        sample = values[:-1][:, values[-1] >= self._opaque]
        sample = sample[np.isfinite(sample)]
        if not sample.size:
            raise ImageryError("the raster holds no data", path=self.label)
        low, high = (float(edge) for edge in np.percentile(sample, [0.5, 99.5]))
        if np.dtype(self._dtype).kind in "ui" and sample.min() >= 0 and sample.max() <= 255:
            return 0.0, 255.0
        return (low, high) if high > low else (low, low + 1.0)


def _half_of(dtype: str) -> float:
    """Half of what GDAL writes as opaque into an alpha band of a type."""
    return {"uint8": 127.5, "uint16": 32767.5, "int16": 16383.5}.get(dtype, 0.5)
