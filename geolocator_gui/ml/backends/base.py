"""What every back-end offers to the encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod

from geolocator_gui.ml.transforms import Floats, Pixels
from geolocator_gui.records import View

# Below this cosine to float32 a reduced precision is not used unless it was asked for.
EXACT = 0.9999


class Backend(ABC):
    """A network on a device.

    Attributes:
        batch_size: Images per pass. Every pass has exactly this many (the last one is filled up), so that
            a vector does not depend on what else was embedded beside it.
    """

    batch_size: int

    @property
    @abstractmethod
    def description(self) -> dict[str, str]:
        """Device, back-end, precision, threads, library versions."""

    @abstractmethod
    def embed(self, images: Pixels, view: View) -> Floats:
        """Unit vectors, float32 (N, D), of uint8 images (N, h, w, 3) at the view's input size."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the weights and the device's memory."""
