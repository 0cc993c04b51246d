"""The index: chips and vectors of one area for one model, in a folder that survives being killed."""

from geolocator_gui.ml.index.build import IndexSummary, build_index
from geolocator_gui.ml.index.estimate import Estimate, estimate_index
from geolocator_gui.ml.index.index import Index
from geolocator_gui.ml.index.manifest import Manifest, read_manifest
from geolocator_gui.ml.index.table import ChipTable

__all__ = [
    "ChipTable",
    "Estimate",
    "Index",
    "IndexSummary",
    "Manifest",
    "build_index",
    "estimate_index",
    "read_manifest",
]
