"""Pairs on disk: published data sets in their authors' layouts, and the user's own geotagged photos."""

from geolocator_gui.ml.datasets.common import Dropped, Report
from geolocator_gui.ml.datasets.pair_data import PairData
from geolocator_gui.ml.datasets.registry import KINDS, open_pairs, read_pairs, training_samples
from geolocator_gui.ml.datasets.samples import TrainingSamples

__all__ = [
    "KINDS",
    "Dropped",
    "PairData",
    "Report",
    "TrainingSamples",
    "open_pairs",
    "read_pairs",
    "training_samples",
]
