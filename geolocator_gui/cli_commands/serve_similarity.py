"""The worker's "similarity": what makes a photo and a chip alike, as two pictures.

Request `{"op": "similarity", "photo", "index", "chip", "models", "out"}`, answered by
`{"photo", "chip", "similarity", "seconds"}`, or, of a data set of pairs, `{"op": "similarity", "photo",
"chip_file", "data", "split", "model", "models", "out"}`; the answer's first two are PNG files
`<out>-photo.png` and `<out>-chip.png`. The photo is shown as the encoder takes it: a panorama turned to
north, an ordinary photo in its place on a blank panorama.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import InputError

if TYPE_CHECKING:
    from geolocator_gui.ml.bundle import Bundle
    from geolocator_gui.ml.localise import Localiser
    from geolocator_gui.ml.mining.similarity_map import SimilarityMaps
    from geolocator_gui.ml.transforms import Pixels


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
        from geolocator_gui.ml.mining.similarity_map import overlay

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

    def answer_files(self, request: dict[str, Any]) -> dict[str, Any]:
        """The same of two image files of a data set, read and placed as they were mined.

        Raises:
            InputError: The files are no photo and chip of the data.
            DataError: A file cannot be read.
        """
        from PIL import Image

        from geolocator_gui.ml.bundle import find_bundle
        from geolocator_gui.ml.datasets.common import read_image
        from geolocator_gui.ml.mining.similarity_map import overlay
        from geolocator_gui.ml.transforms import prepare

        begin = time.perf_counter()
        models = request.get("models")
        bundle = find_bundle(str(request["model"]), None if models is None else Path(models))
        model, kind = bundle.config, str(request["data"]).partition(":")[0]
        if kind == "pairs":
            images = _own_pair(request, bundle)
        else:
            images = read_image(Path(request["photo"])), read_image(Path(request["chip_file"]))
        names = ("photo", "chip")
        if kind == "u1652-s2d":  # there a satellite image asks for photos
            images, names = images[::-1], names[::-1]
        photo, chip = prepare(images[0], "ground", model), prepare(images[1], "satellite", model)
        found = self._maps_of(bundle).explain(photo, chip)
        out = str(request["out"])
        files = {name: f"{out}-{name}.png" for name in names}
        Image.fromarray(overlay(photo, found.photo)).save(files[names[0]], compress_level=1)
        Image.fromarray(overlay(chip, found.chip, longest=768)).save(files[names[1]], compress_level=1)
        return {"similarity": found.similarity, **files, "seconds": time.perf_counter() - begin}

    def _ready(self, localiser: Localiser) -> SimilarityMaps:
        return self._maps_of(localiser.encoder.bundle)

    def _maps_of(self, bundle: Bundle) -> SimilarityMaps:
        from geolocator_gui.ml.mining.similarity_map import SimilarityMaps
        from geolocator_gui.ml.model_loading import load_backbone

        if self.maps is None or self.fingerprint != bundle.fingerprint:
            # The encoder may run on another back-end that cannot be differentiated.
            self.maps = SimilarityMaps(load_backbone(bundle), bundle.config)
            self.fingerprint = bundle.fingerprint
        return self.maps


def _own_pair(request: dict[str, Any], bundle: Bundle) -> tuple[Pixels, Pixels]:
    """Photo and chip of own pairs: the photo placed as the model takes it, the chip without its margin."""
    from geolocator_gui.ml.datasets import read_pairs

    kind, _, place = str(request["data"]).partition(":")
    pairs = read_pairs(kind, place, str(request.get("split") or "train")).for_model(bundle.config)
    rows = [
        [row for row, name in enumerate(names) if Path(name).name == Path(request[file]).name]
        for names, file in ((pairs.query_paths, "photo"), (pairs.reference_paths, "chip_file"))
    ]
    if not all(rows):
        raise InputError(
            "the pairs no longer hold this photo or chip", path=place, hint="Mine again: they were remade."
        )
    return pairs.read_query(rows[0][0]), pairs.read_reference(rows[1][0])
