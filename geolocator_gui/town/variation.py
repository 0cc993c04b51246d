"""Random light and camera per view, so that a model cannot live on exact colours alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Columns of a view's parameters (float64).
GAIN, OFFSET, CONTRAST, HAZE, NOISE = 0, 3, 6, 7, 8
HORIZON, ZENITH = 9, 12
COLUMNS = 15


def neutral(count: int) -> npt.NDArray[np.float64]:
    """Parameters (n, COLUMNS) of plain views: clear sky, true colours, no noise."""
    params = np.zeros((count, COLUMNS))
    params[:, GAIN : GAIN + 3] = 1.0
    params[:, CONTRAST] = 1.0
    params[:, HAZE] = 1.0 / 450.0
    params[:, HORIZON : HORIZON + 3] = 206.0, 220.0, 232.0
    params[:, ZENITH : ZENITH + 3] = 92.0, 142.0, 206.0
    return params


def draw(count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Random parameters (n, COLUMNS): exposure, white balance, contrast, haze, sky, noise."""
    params = neutral(count)
    exposure = np.exp(rng.normal(0.0, 0.09, (count, 1)))
    params[:, GAIN : GAIN + 3] = exposure * np.exp(rng.normal(0.0, 0.035, (count, 3)))
    params[:, OFFSET : OFFSET + 3] = rng.normal(0.0, 4.0, (count, 1)) + rng.normal(0.0, 2.0, (count, 3))
    params[:, CONTRAST] = rng.uniform(0.86, 1.14, count)
    params[:, HAZE] = 1.0 / rng.uniform(220.0, 900.0, count)
    params[:, NOISE] = rng.uniform(0.0, 8.0, count)
    cover = rng.uniform(0.0, 1.0, (count, 1))  # from blue to overcast
    grey = rng.uniform(165.0, 235.0, (count, 1))
    params[:, HORIZON : HORIZON + 3] += cover * (grey - params[:, HORIZON : HORIZON + 3])
    params[:, ZENITH : ZENITH + 3] += cover * (0.88 * grey - params[:, ZENITH : ZENITH + 3])
    return params
