"""The worker's "similarity": what makes a photo and a chip alike, as two pictures.

Request `{"op": "similarity", "photo", "index", "chip", "models", "out"}`, answered by
`{"photo", "chip", "similarity", "seconds"}`, the first two being PNG files `<out>-photo.png` and
`<out>-chip.png`. The photo is shown as the encoder takes it: a panorama turned to north, an ordinary photo in
its place on a blank panorama.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import InputError

if TYPE_CHECKING:
    from geolocator_gui.ml.localise import Localiser
    from geolocator_gui.ml.similarity_map import SimilarityMaps


@dataclass
class Explainer:
    """Keeps the network of one index ready.

    Attributes:
        fingerprint: Of the bundle that `maps` explains, "" for none.
        maps: The network.
    """

    fingerprint: str = ""
    maps: SimilarityMaps | None = None

    def answer(self, localiser: Localiser, request: dict[str, Any]) -> dict[str, Any]:
        """Write the two pictures.

        Raises:
            InputError: The index has no such chip.
            PhotoError: The photo cannot be read.
        """
        import numpy as np
        from PIL import Image

        from geolocator_gui.ml.index.plan import find_sources
        from geolocator_gui.ml.index.reading import Reader, opened
        from geolocator_gui.ml.similarity_map import overlay

        begin = time.perf_counter()
        index, row = localiser.index, int(request["chip"])
        if not 0 <= row < index.count:
            raise InputError(
                f"the index has no chip {row}", path=request.get("index"), hint="Mine again: it was rebuilt."
            )
        query = localiser.embed(Path(request["photo"]), LocaliseConfig())
        best = int(np.argmax(query.vectors @ np.asarray(index.vectors[row], np.float32)))
        photo = query.placed.images[best]
        with opened(find_sources(index.manifest, index.folder)) as sources:
            chip = (
                Reader(sources, localiser.encoder.config)
                .cut(index.chips.grid.take(np.array([row])))
                .images[0]
            )
        found = self._ready(localiser).explain(photo, chip)
        out = str(request["out"])
        answer = {"similarity": found.similarity}
        files = {"photo": f"{out}-photo.png", "chip": f"{out}-chip.png"}
        Image.fromarray(overlay(photo, found.photo)).save(files["photo"], compress_level=1)
        Image.fromarray(overlay(chip, found.chip, longest=768)).save(files["chip"], compress_level=1)
        return {**answer, **files, "seconds": time.perf_counter() - begin}

    def _ready(self, localiser: Localiser) -> SimilarityMaps:
        from geolocator_gui.ml.model_loading import load_backbone
        from geolocator_gui.ml.similarity_map import SimilarityMaps

        bundle = localiser.encoder.bundle
        if self.maps is None or self.fingerprint != bundle.fingerprint:
            # The encoder may run on another back-end that cannot be differentiated.
            self.maps = SimilarityMaps(load_backbone(bundle), bundle.config)
            self.fingerprint = bundle.fingerprint
        return self.maps
