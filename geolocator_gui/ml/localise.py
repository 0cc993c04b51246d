"""Localising photos: from a file to ranked matches and one fused position."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from geolocator_gui.configs import LocaliseConfig
from geolocator_gui.errors import AreaError, FaultError, PhotoError
from geolocator_gui.events import Pace, Steps
from geolocator_gui.geo.area import area_from_circle, read_area
from geolocator_gui.geo.photo import load_image, read_facts
from geolocator_gui.geo.projection import distance_m
from geolocator_gui.ml.bundle import Bundle, find_bundle
from geolocator_gui.ml.fuse import STANDS_OUT_AT, belief, fuse, margin_of, separate_places, weights
from geolocator_gui.ml.index import Index
from geolocator_gui.ml.index.plan import GENERATED, bundle_of
from geolocator_gui.ml.placement import Placed, guess_mode, loading_side, place
from geolocator_gui.records import BoundingBox, Localisation, LonLat, Match, PhotoFacts

if TYPE_CHECKING:
    from geolocator_gui.ml.encoder import Encoder

Floats = NDArray[np.float32]
# Up to here every chip is scored for every photo; beyond, the index's search structure finds candidates.
_SCORE_ALL = 100_000
_SAMPLE = 20_000


@dataclass(frozen=True)
class Query:
    """A photo before it is compared.

    Attributes:
        file: As given.
        facts: What it says of itself.
        placed: How it was put before the encoder.
        vectors: float32 (K, D), one per hypothesis.
    """

    file: str
    facts: PhotoFacts
    placed: Placed
    vectors: Floats


@dataclass(frozen=True)
class Ranked:
    """The best chips, best first.

    Attributes:
        rows: (M,) int64, rows of the index.
        scores: (M,) float32, exact cosines of the best hypothesis.
        hypotheses: (M,) int64, which hypothesis that was.
        total: Sum of exp(sharpness * (score - best score)) over all chips that may be found.
    """

    rows: NDArray[np.int64]
    scores: Floats
    hypotheses: NDArray[np.int64]
    total: float


class Localiser:
    """One index and one encoder, kept open.

    Raises:
        IndexFolderError: The encoder's model is not the index's.
    """

    def __init__(self, index: Index, encoder: Encoder) -> None:
        index.check(encoder.bundle)
        self.index, self.encoder = index, encoder
        self._priors: dict[tuple[object, ...], NDArray[np.bool_]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the encoder's memory."""
        self.encoder.close()

    def localise(
        self, path: Path | str, options: LocaliseConfig | None = None, *, scores_path: Path | None = None
    ) -> Localisation:
        """Localise one photo; a bad photo gives a `Localisation` with `error`, never an exception.

        Args:
            path: The photo.
            options: How; None for the defaults.
            scores_path: Where to save the scores of all chips in row order, float32 (N,), `.npy`.

        Raises:
            AreaError: The prior (`within`, `within_circle`) cannot be read or holds no chip.
            FaultError: The scores cannot be written.
        """
        if scores_path is None:
            return self._localise(path, options or LocaliseConfig())[0]
        answer, scores = self.localise_with_scores(path, options)
        try:
            if scores is not None:
                with scores_path.open("wb") as file:
                    np.save(file, scores)
        except OSError as error:
            raise FaultError(
                f"the scores cannot be written ({error.strerror or error})", path=scores_path
            ) from error
        return answer

    def localise_with_scores(
        self, path: Path | str, options: LocaliseConfig | None = None
    ) -> tuple[Localisation, Floats | None]:
        """As `localise`, with the scores of all chips in row order, float32 (N,); None for a bad photo."""
        answer, query = self._localise(path, options or LocaliseConfig())
        return answer, None if query is None else self.scores(query)

    def _localise(self, path: Path | str, options: LocaliseConfig) -> tuple[Localisation, Query | None]:
        begin = time.perf_counter()
        mask = self.prior(options)
        try:
            query = self.embed(path, options)
        except PhotoError as error:
            reason = f"{error.what}. {error.hint}".rstrip(". ") + "."
            seconds = time.perf_counter() - begin
            return Localisation(str(path), None, error=reason, sentence=reason, seconds=seconds), None
        answer = self.answer(query, options, mask)
        return replace(answer, seconds=time.perf_counter() - begin), query

    def embed(self, path: Path | str, options: LocaliseConfig) -> Query:
        """Load, place and embed a photo; raises `PhotoError`."""
        facts = read_facts(path)
        model = self.encoder.config
        mode = options.mode or guess_mode(facts, model)
        image = load_image(path, longest_side=loading_side(facts, model, mode))
        try:
            placed = place(image, facts, model, options)
        except (MemoryError, ValueError, ArithmeticError) as error:
            # What a file says of itself may be absurd in ways that nobody thought of; other photos go on.
            reason = f" ({error})" if str(error) else ""
            raise PhotoError(f"the photo cannot be put before the model{reason}", path=path) from error
        return Query(str(path), facts, placed, self.encoder.embed(placed.images, placed.view))

    def scores(self, query: Query) -> Floats:
        """Scores of all chips in row order, float32 (N,): the best over the hypotheses."""
        return self.index.best_scores(query.vectors)[0]

    def rank_of(self, query: Query, position: LonLat) -> int | None:
        """Rank of the best chip that contains a position among all chips, from 1; None if none does."""
        holding = self.index.chips.containing(*position)
        if not len(holding):
            return None
        scores = self.scores(query)
        best = scores[holding].max()
        return int((scores > best).sum()) + 1

    def chance(self, position: LonLat | None = None) -> float:
        """How often a chip drawn at random holds a position; of a typical one if none is given."""
        if position is not None:
            return len(self.index.chips.containing(*position)) / self.index.count
        overlap = self.index.manifest.parts[0].overlap
        return min(1.0, (1.0 - overlap) ** -2 / self.index.count)

    def prior(self, options: LocaliseConfig) -> NDArray[np.bool_] | None:
        """(N,) chips that the options allow, None for all."""
        key = (options.within, options.within_circle)
        if key == (None, None):
            return None
        if key not in self._priors:
            mask = np.ones(self.index.count, dtype=bool)
            if options.within is not None:
                mask &= self.index.within([read_area(Path(options.within)).geometry])
            if options.within_circle is not None:
                mask &= self.index.within([area_from_circle(*options.within_circle).geometry])
            if not mask.any():
                raise AreaError(
                    "no chip of the index lies within the area that the search is limited to",
                    path=options.within,
                    hint="Widen it, or leave it out.",
                )
            self._priors = {key: mask}
        return self._priors[key]

    def answer(
        self, query: Query, options: LocaliseConfig, mask: NDArray[np.bool_] | None = None
    ) -> Localisation:
        """Matches, fused position and sentence of an embedded photo."""
        chips = self.index.chips
        side = float(chips.side_m.min())
        apart = side / 2 if options.min_distance_m is None else options.min_distance_m
        ranked = self._rank(query, mask, max(options.top, 10))
        lon, lat = chips.lon[ranked.rows], chips.lat[ranked.rows]
        kept = separate_places(lon, lat, apart, options.top)
        matches = self._matches(query, ranked, kept)
        fused = fuse(lon, lat, ranked.scores, side, self._sharpness)
        margin = margin_of(lon, lat, ranked.scores, side)
        share = belief(lon, lat, ranked.scores, side, self._sharpness, ranked.total)
        clear = share >= STANDS_OUT_AT
        position = query.facts.position
        error_m, outside = None, False
        if position is not None:
            error_m = float(distance_m(fused.position, position))
            outside = not len(chips.containing(*position))
        return Localisation(
            file=query.file,
            facts=query.facts,
            mode=query.placed.mode,
            matches=matches,
            fused=fused,
            margin=margin,
            stands_out=clear,
            chance=self.chance(),
            note=" ".join(text for text in (query.placed.note, self._warning) if text),
            sentence=_sentence(fused.position, fused.spread_m, clear, outside),
            error_m=error_m,
            outside=outside,
        )

    @property
    def _warning(self) -> str:
        if not self.encoder.config.synthetic or GENERATED in self.index.attribution:
            return ""
        return f"{self.encoder.config.name} knows generated imagery only: this answer means nothing."

    @property
    def _sharpness(self) -> float:
        """Inverse temperature of the model, as trained; as it was at the start of training if unknown."""
        return math.exp(min(self.encoder.config.logit_scale or math.log(1 / 0.07), math.log(100.0)))

    def _rank(self, query: Query, mask: NDArray[np.bool_] | None, top: int) -> Ranked:
        if self.index.count <= _SCORE_ALL:
            scores, hypotheses = self.index.best_scores(query.vectors)
            rows = np.arange(len(scores)) if mask is None else np.flatnonzero(mask)
            best = rows[np.lexsort((rows, -scores[rows]))]
            total = float(weights(scores[best], float(scores[best[0]]), self._sharpness).sum())
            return Ranked(best, scores[best], hypotheses[best], total)
        number = max(400, 100 * top)
        found, found_rows = self.index.search(query.vectors, number, mask)
        best_of: dict[int, tuple[float, int]] = {}
        for hypothesis in range(len(found)):
            pairs = zip(found[hypothesis].tolist(), found_rows[hypothesis].tolist(), strict=True)
            for score, row in pairs:
                if row not in best_of or score > best_of[row][0]:
                    best_of[row] = (score, hypothesis)
        order = sorted(best_of, key=lambda row: (-best_of[row][0], row))
        ranked = np.array([best_of[row][0] for row in order], dtype=np.float32)
        sample, allowed = self._sampled(query, mask)
        rest = weights(sample, float(ranked[0]), self._sharpness)
        # The best are known; the sample stands for those below them.
        total = float(weights(ranked, float(ranked[0]), self._sharpness).sum())
        total += float(rest[sample < ranked[-1]].sum()) / len(sample) * allowed
        return Ranked(
            np.array(order, dtype=np.int64),
            ranked,
            np.array([best_of[row][1] for row in order], dtype=np.int64),
            total,
        )

    def _sampled(self, query: Query, mask: NDArray[np.bool_] | None) -> tuple[Floats, int]:
        """Scores of some chips spread over those that may be found, and the number of the latter."""
        rows = np.arange(self.index.count) if mask is None else np.flatnonzero(mask)
        some = rows[:: max(1, len(rows) // _SAMPLE)]
        scores: Floats = (query.vectors @ self.index.vectors.take(some).astype(np.float32).T).max(axis=0)
        return scores, len(rows)

    def _matches(self, query: Query, ranked: Ranked, kept: NDArray[np.int64]) -> tuple[Match, ...]:
        chips = self.index.chips
        rows = ranked.rows[kept]
        swept = query.placed.headings if query.placed.swept else None
        return tuple(
            Match(
                rank=rank,
                chip=int(row),
                score=min(1.0, float(ranked.scores[at])),
                position=LonLat(float(chips.lon[row]), float(chips.lat[row])),
                bounds=BoundingBox(*(float(edge) for edge in outline)),
                heading=None if swept is None else swept[int(ranked.hypotheses[at])],
            )
            for rank, (at, row, outline) in enumerate(zip(kept, rows, chips.bounds(rows), strict=True), 1)
        )


def _sentence(position: LonLat, spread_m: float, clear: bool, outside: bool) -> str:
    """The answer in words."""
    parts: list[str] = []
    if clear:
        parts.append(f"The best place is at {position.lat:.5f}, {position.lon:.5f} (± {spread_m:.0f} m).")
    else:
        parts.append("No place stands out: the photo may lie outside the indexed area.")
    if outside:
        parts.append("The photo's own GPS position lies outside the indexed area.")
    return " ".join(parts)


def open_localiser(
    index: Path | str,
    *,
    model: str | None = None,
    models: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Localiser:
    """Open an index folder with the model that embedded it.

    Args:
        index: Folder.
        model: Bundle name, folder or weights file, for a model that is not on the search path.
        models: The workspace's bundles, first on the search path.
        device: "auto", "cpu", "cuda", "mps".
        threads: CPU threads; None for automatic.

    Raises:
        IndexFolderError: There is no index, or the model of it is not here; the message names both.
    """
    from geolocator_gui.ml.encoder import Encoder

    opened = Index.open(index)
    bundle: Bundle
    if model is not None:
        bundle = find_bundle(model, models)
        if bundle.has_weights:
            opened.check(bundle)
    else:
        bundle = bundle_of(opened.manifest, None, models)
    return Localiser(opened, Encoder(bundle, device=device, threads=threads))


def localise_photos(
    localiser: Localiser, photos: Sequence[Path | str], options: LocaliseConfig | None = None
) -> Steps[list[Localisation]]:
    """Localise several photos, in order; a bad one has `error` and the rest go on."""
    pace = Pace("Localising photos", len(photos), "photos")
    found: list[Localisation] = []
    yield from pace.at(0)
    for photo in photos:
        found.append(localiser.localise(photo, options))
        yield from pace.at(len(found))
    return found
