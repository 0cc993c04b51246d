"""What a training will be: pairs found, settings of the preset, memory and time; plain data without Qt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geolocator_gui.gui import wording
from geolocator_gui.gui.estimate import known_rate, remember_rate
from geolocator_gui.gui.translation import QT_TRANSLATE_NOOP, translate
from geolocator_gui.training import TOWN_PAIRS, TrainRun, preset, with_settings

KINDS = {
    "vigor-same": QT_TRANSLATE_NOOP("Planning", "VIGOR, same area"),
    "vigor-cross": QT_TRANSLATE_NOOP("Planning", "VIGOR, cross area"),
    "cvusa": "CVUSA",
    "cvact": "CVACT",
    "u1652-d2s": QT_TRANSLATE_NOOP("Planning", "University-1652, drone to satellite"),
    "u1652-s2d": QT_TRANSLATE_NOOP("Planning", "University-1652, satellite to drone"),
}
PRESET_TITLES = {
    "fine-tune": QT_TRANSLATE_NOOP("Planning", "Fine-tune on my photos"),
    "published": QT_TRANSLATE_NOOP("Planning", "Published recipe"),
    "quick": QT_TRANSLATE_NOOP("Planning", "Quick test"),
}


def preset_title(name: str) -> str:
    """A preset in words."""
    return translate("Planning", PRESET_TITLES.get(name, name))


@dataclass(frozen=True)
class Found:
    """Pairs of a data source.

    Attributes:
        data: KIND:PATH.
        pairs: To train on.
        held_out: To validate on.
        aside: Name and reason of what was left out (examples).
        missing: How many were left out in all.
        notes: What else to know.
    """

    data: str
    pairs: int
    held_out: int = 0
    aside: tuple[tuple[str, str], ...] = ()
    missing: int = 0
    notes: tuple[str, ...] = ()

    def sentence(self) -> str:
        """For the form."""
        if self.data.startswith("town:"):
            return translate(
                "Planning",
                "Pairs are rendered from made-up towns while it trains; four other towns validate.",
            )
        held = translate("Planning", "{n} held out").format(n=wording.count(self.held_out))
        parts = [wording.counted(self.pairs, "pair"), held]
        if self.missing:
            parts.append(translate("Planning", "{n} set aside").format(n=wording.count(self.missing)))
        return " · ".join(parts)


TOWN = Found("town:", TOWN_PAIRS)


def found_of(document: dict[str, Any]) -> Found:
    """What `geolocator pairs --check … --json` printed."""
    splits = document.get("splits", {})
    train, held = splits.get("train", {}), splits.get("val", {})
    aside: list[tuple[str, str]] = []
    missing = 0
    for one in [*train.get("dropped", ()), *held.get("dropped", ())]:
        missing += int(one.get("count", 0))
        aside.extend((str(name), str(one.get("reason", ""))) for name in one.get("examples", ()))
    notes = dict.fromkeys([*train.get("notes", ()), *held.get("notes", ())])
    return Found(
        str(document.get("data", "")),
        int(train.get("found", 0)),
        int(held.get("found", 0)),
        tuple(aside),
        missing,
        tuple(str(note) for note in notes),
    )


def make_run(found: Found, model: str, preset_name: str, settings: Sequence[str]) -> TrainRun:
    """The frozen configuration: the preset for so many pairs, then single settings; raises `ConfigError`."""
    fields = {
        "data": found.data,
        "model": model,
        "preset": preset_name,
        **preset(preset_name, found.pairs),
    }
    return with_settings(TrainRun.from_mapping(fields), settings)


@dataclass(frozen=True)
class Probe:
    """What a few images cost on this machine; from it follows what any batch will.

    Attributes:
        device: Where the run will work: "cpu", "cuda", …
        fixed_bytes: Weights, average, gradients and the optimiser's moments.
        pair_bytes: Of every pair that is embedded at once.
        pair_seconds: Of a step, per pair.
        free_bytes: Of the device, None where it is not known.
    """

    device: str
    fixed_bytes: float
    pair_bytes: float
    pair_seconds: float
    free_bytes: float | None = None

    @classmethod
    def of(cls, document: dict[str, Any], run: TrainRun) -> Probe | None:
        """From what `geolocator train --estimate --json` printed for a run; None when it is none."""
        try:
            fixed = float(document["fixed_bytes"])
            return cls(
                str(document["device"]),
                fixed,
                (float(document["memory_bytes"]) - fixed) / run.train.batch_size,
                float(document["seconds"]) / (document["steps"] * run.train.batch_size),
                document.get("free_bytes"),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None

    def memory(self, run: TrainRun) -> str:
        """For the form: the memory of a run; estimated, not measured."""
        whole = self.fixed_bytes + self.pair_bytes * run.train.batch_size
        if run.train.micro_batch is not None:
            at_once = min(run.train.micro_batch, 2 * run.train.batch_size) / 2
            whole = self.fixed_bytes + self.pair_bytes * at_once
        where = "" if self.device == "cpu" else f" on {self.device}"
        text = f"about {wording.size(whole)}{where} (estimated)"
        if self.free_bytes is None:
            return text
        text += f", {wording.size(self.free_bytes)} free"
        if whole > self.free_bytes:
            text += "; fewer images at a time make it fit"
        return text


def probe_key(run: TrainRun) -> str:
    """Runs with equal keys cost the same per pair."""
    train = run.train
    looks = run.views.enabled and run.views.inner_contrast > 0
    parts = (run.model, train.freeze, train.precision, train.device, looks, bool(train.ema))
    return "/".join(map(str, parts))


def needs(
    run: TrainRun, found: Found, probe: Probe | None = None, unknown: str = ""
) -> list[tuple[str, str]]:
    """What it takes, as name and value.

    Args:
        run: The run.
        found: Its pairs.
        probe: What a few images cost here, None while that is not known.
        unknown: Stands for what is not known; that it is being estimated when it is empty.
    """
    unknown = unknown or translate("Planning", "being estimated…")
    train = run.train
    steps = wording.count(train.steps)
    epochs = train.pairs / max(found.pairs, 1)
    seen = wording.count(train.pairs)
    if not found.data.startswith("town:"):
        rounds = translate("Planning", "({n} epochs)").format(n=f"{epochs:.0f}")
        seen += f" {rounds}" if epochs >= 1.5 else ""
    batch = translate("Planning", "{n} pairs · {steps} steps")
    if train.micro_batch:
        batch = translate("Planning", "{n} pairs ({micro} at a time) · {steps} steps")
    rate = known_rate(rate_key(run))
    seconds = None if rate is None else train.pairs / rate
    time = unknown
    if seconds is not None:
        time = translate("Planning", "about {time}").format(time=wording.duration(seconds))
    if seconds is None and probe is not None:
        twice = 4 / 3 if train.micro_batch else 1.0
        about = wording.duration(twice * train.pairs * probe.pair_seconds)
        time = translate("Planning", "about {time} (estimated)").format(time=about)
    return [
        (translate("Planning", "Pairs to see"), seen),
        (
            translate("Planning", "Batch"),
            batch.format(n=train.batch_size, micro=train.micro_batch, steps=steps),
        ),
        (translate("Planning", "Time"), time),
        (translate("Planning", "Memory"), unknown if probe is None else probe.memory(run)),
    ]


def rate_key(run: TrainRun) -> str:
    """Under which the speed on this machine is kept."""
    return f"train/{Path(run.model).name}/{run.train.freeze}"


def learn_rate(run: TrainRun, pairs_per_second: float) -> None:
    """Keep how fast a run was here, to tell the next one's time."""
    remember_rate(rate_key(run), pairs_per_second)


def json_of(output: str) -> dict[str, Any]:
    """The object that a command printed, {} when it is none."""
    try:
        document = json.loads(output)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


@dataclass(frozen=True)
class ComparedRow:
    """One photo under the old and the new model.

    Attributes:
        name: The photo.
        old: Error and score as shown.
        new: Likewise.
        better: 1 when the new one is nearer, -1 when it is farther, 0 when they are within a metre; None
            where one of them is not known.
    """

    name: str
    old: tuple[str, str]
    new: tuple[str, str]
    better: int | None


def compared_rows(document: dict[str, Any]) -> list[ComparedRow]:
    """The rows of `geolocator compare --json`."""
    rows = []
    for one in document.get("photos", ()):
        a, b = one["a"], one["b"]
        first, second = a.get("error_m"), b.get("error_m")
        better: int | None = None
        if first is not None and second is not None:
            better = 0 if abs(first - second) < 1 else 1 if second < first else -1
        rows.append(ComparedRow(Path(one["file"]).name, _facts(a), _facts(b), better))
    return rows


def compared_sentence(document: dict[str, Any]) -> str:
    """What the comparison comes to, with its interval."""
    count = int(document.get("with_position") or 0)
    if not count:
        return translate(
            "Planning",
            "No photo knows its own position inside both indexes, so only scores can be compared.",
        )
    gain = document["within_50_m_difference"]
    words = translate(
        "Planning",
        "{photos} with a position: median error {old} before, {new} after. Within 50 m: {share_a} before, "
        "{share_b} after ({gain}, 95 % interval {low} to {high}).",
    )
    return words.format(
        photos=wording.counted(count, "photo"),
        old=wording.metres(document["median_error_m_a"]),
        new=wording.metres(document["median_error_m_b"]),
        share_a=f"{document['within_50_m_a']:.0%}",
        share_b=f"{document['within_50_m_b']:.0%}",
        gain=f"{gain['b_minus_a']:+.0%}",
        low=f"{gain['low']:+.0%}",
        high=f"{gain['high']:+.0%}",
    )


def _facts(one: dict[str, Any]) -> tuple[str, str]:
    score = one.get("score")
    return wording.metres(one.get("error_m")), "–" if score is None else wording.score(float(score))
