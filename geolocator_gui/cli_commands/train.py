"""`geolocator train`, `pack` and `publish`: fine-tune a model, here or elsewhere, and make it a bundle."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from geolocator_gui.cli_commands.console import drive, print_json, run_verb
from geolocator_gui.cli_commands.mine import models_beside
from geolocator_gui.errors import ConfigError, DataError
from geolocator_gui.runs import RunFolder
from geolocator_gui.training import (
    PRESETS,
    TOWN_PAIRS,
    TrainRun,
    checked_model_name,
    preset,
    with_settings,
)

if TYPE_CHECKING:
    from geolocator_gui.events import Steps
    from geolocator_gui.ml.train.run import TrainSummary

ModelsOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The workspace whose models are meant, where DIR lies in none."),
]
WorkspaceOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Its models; without --out the run goes there.")
]


def train(
    data: Annotated[
        str | None,
        typer.Option(metavar="KIND:PATH", help="Pairs, for example pairs:DIR, town: or cvusa:DIR."),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME|DIR", help="The model to start from.")] = "demo-town",
    preset_name: Annotated[
        str, typer.Option("--preset", metavar="P", help=f"One of {', '.join(PRESETS)}.")
    ] = "fine-tune",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the preset; may be repeated."),
    ] = None,
    start: Annotated[
        Literal["bundle", "scratch"], typer.Option(help="From the model's weights, or from random ones.")
    ] = "bundle",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first pairs.")] = None,
    marks: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Verdicts that are heeded: a marks.csv, workspace (its own one) or none."
        ),
    ] = "workspace",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run; the same command continues it.")
    ] = None,
    workspace: WorkspaceOption = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue the run in this folder.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say what the run will need on this machine.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a model further on pairs of photos and satellite images.

    Stop it with Ctrl-C at any time: the same command, or --resume, goes on where it was.
    On several GPUs: torchrun --nproc-per-node N -m geolocator_gui.cli train ….
    """
    if estimate:
        if data is None:
            raise ConfigError("no pairs are named", hint="Name them with --data KIND:PATH.")
        wanted = plan(data, model, preset_name, settings or [], start=start, limit=limit)
        _print_estimate(wanted, workspace, as_json=as_json)
        return
    folder = resume or out or _new_folder(workspace, data)
    if folder is None:
        raise ConfigError("no folder is named", hint="Name one with --out DIR or --workspace DIR.")
    run = None
    if resume is None:
        if data is None:
            raise ConfigError("no pairs are named", hint="Name them with --data KIND:PATH.")
        run = plan(data, model, preset_name, settings or [], start=start, limit=limit, marks=marks)
        if run.train.device not in ("auto", "cpu"):
            from geolocator_gui.ml.train.loop import pick_device

            pick_device(run.train.device)  # refused before a folder is made
        give_way(folder, run)
    else:
        run_of(resume)  # another verb's folder has another hint

    def work(config: TrainRun, thing: Path) -> Steps[TrainSummary]:
        from geolocator_gui.ml.train.run import run_training

        return run_training(config, thing, workspace_models=workspace_models(workspace, thing))

    if int(os.environ.get("RANK", "0")) > 0:
        # One of several processes under torchrun: the first one keeps the run's folder.
        drive(work(run or RunFolder(folder).read_config(TrainRun), folder), quiet=True)
        return
    summary = run_verb(
        "train", folder, run, TrainRun, work, quiet=quiet, summary=lambda result: result.to_dict()
    )
    if as_json:
        print_json(summary.to_dict() | {"folder": str(folder)})
        return
    figures = ", ".join(f"{key} {100 * value:.1f} %" for key, value in summary.figures.items())
    print(
        f"{summary.pairs:,} pairs in {summary.steps:,} steps, {summary.seconds / 60:.1f} min of computation."
    )
    if figures:
        print(f"Best at step {summary.best_step:,}: {figures}")
    print(f"Make it a model with: geolocator publish {folder} --name NAME")


def pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run, started or not.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="What to write.")],
    workspace: ModelsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Pack a run for another machine: settings, start weights and every pair as image files.

    There it needs torch and timm, and beside them scipy, opencv-python-headless, pydantic and tomlkit.
    Bring its result back with `geolocator publish`.
    """
    from geolocator_gui.ml.train.pack import pack as write_pack
    from geolocator_gui.ml.train.run import start_bundle, verdicts

    run = run_of(folder)
    own = workspace_models(workspace, folder)
    size = drive(
        write_pack(run, start_bundle(run, folder, own), file, verdicts(run, folder, own)), quiet=quiet
    )
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        print(f"{file}: {size / 1e6:.1f} MB. There:")
        print("unpack it, then: pip install -r requirements.txt; python train.py")


def publish(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of a run; of a packed one the folder, or a zip of it, after training."
        ),
    ],
    name: Annotated[
        str,
        typer.Option(metavar="NAME", help="Of the new model: letters, digits, dots, dashes, underscores."),
    ],
    workspace: ModelsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a model of a run's best state; it then stands in the list of models.

    It goes to the models of the workspace that the run lies in, or that is named, else to this machine's.
    """
    from geolocator_gui.ml.model_store import models_folder
    from geolocator_gui.ml.train.run import publish as write_bundle

    checked_model_name(name)
    own = workspace_models(workspace, folder)
    with tempfile.TemporaryDirectory() as scratch:
        place = unpacked(folder, Path(scratch)) if folder.is_file() else folder
        packed = place / "run.json"
        run = TrainRun.read_json(packed) if packed.is_file() else run_of(place)
        bundle = write_bundle(place, run, name, models_folder(own), workspace_models=own)
    if as_json:
        print_json({"name": bundle.name, "folder": str(bundle.folder), "scores": bundle.config.scores})
        return
    print(f"{bundle.name}: {bundle.folder}")
    print("Build a new index with it before you compare: an index belongs to the model that embedded it.")


def plan(
    data: str,
    model: str,
    preset_name: str,
    settings: list[str],
    *,
    start: Literal["bundle", "scratch"] = "bundle",
    limit: int | None = None,
    marks: str = "workspace",
) -> TrainRun:
    """The configuration of a run: a preset for the size of the data, then single settings."""
    kind, colon, place = data.partition(":")
    if not colon:
        raise ConfigError(f"'{data}' does not say what kind of pairs it is", hint="Write KIND:PATH.")
    if kind == "town":
        pairs = TOWN_PAIRS
    else:
        from geolocator_gui.ml.datasets import training_samples

        data = f"{kind}:{Path(place).expanduser().resolve()}"
        pairs = len(training_samples(kind, place, limit=limit))
    given = Path(model).expanduser()
    fields = {
        "data": data,
        "model": str(given.resolve()) if given.exists() and ("/" in model or "\\" in model) else model,
        "start": start,
        "preset": preset_name,
        "limit": limit,
        "marks": str(Path(marks).expanduser().resolve()) if marks not in ("workspace", "none") else marks,
        **preset(preset_name, pairs),
    }
    return with_settings(TrainRun.from_mapping(fields), settings)


def _print_estimate(run: TrainRun, workspace: Path | None, *, as_json: bool) -> None:
    from geolocator_gui.ml.train.estimate import estimate
    from geolocator_gui.ml.train.run import start_bundle, start_model

    bundle = start_bundle(run, Path(), workspace_models(workspace, Path()))
    needs = estimate(run, start_model(run, bundle), bundle.config)
    if as_json:
        print_json(needs.to_dict())
        return
    print(
        f"{needs.steps:,} steps on {needs.device}: about {needs.seconds / 60:.0f} min, without evaluations.\n"
        f"Memory for a whole batch: about {needs.bytes_whole / 1e9:.1f} GB (estimated)."
    )
    if needs.micro_batch == 0:
        print("Not even one image fits: choose a smaller model or another device.")
    elif needs.micro_batch:
        print(f"That does not fit: {needs.micro_batch} images at once, with the same gradients, do.")


def run_of(folder: Path) -> TrainRun:
    """The configuration of a training's folder; raises `ConfigError` if it is none."""
    run = RunFolder(folder)
    if not (run.path / "config.toml").exists():
        raise ConfigError(
            "there is no training run in this folder",
            path=folder,
            hint="Name the folder that `geolocator train … --out DIR` made.",
        )
    if run.verb() != "train":
        raise ConfigError(
            f"this is a run of `geolocator {run.verb()}`, not a training",
            path=folder,
            hint=f"Train on these pairs with --data pairs:{folder} --out DIR."
            if run.verb() == "pairs"
            else "Name the folder that `geolocator train … --out DIR` made.",
        )
    return run.read_config(TrainRun)


def give_way(folder: Path, wanted: TrainRun) -> None:
    """Let a corrected configuration replace that of a run that ended before it had saved anything.

    The verdicts copied for the old one go with it where the new one heeds others.
    """
    run = RunFolder(folder)
    saved = any((folder / "checkpoints" / name).exists() for name in ("last.pt", "best.pt"))
    if saved or not (run.path / "config.toml").exists() or run.verb() != "train":
        return
    if run.status().state not in ("failed", "stopped", "interrupted"):
        return
    try:
        old = run.read_config(TrainRun)
    except ConfigError:
        old = None  # written by another version, or by hand: it cannot be continued
    if old == wanted:
        return
    (run.path / "config.toml").unlink()
    copied = folder / "marks.csv"
    if copied.exists() and (old is None or old.marks != wanted.marks):
        copied.replace(run.path / "marks-before.csv")


def unpacked(file: Path, scratch: Path) -> Path:
    """The folder of a zipped run; raises `DataError` if it is none or names places outside of itself."""
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.namelist():
                if not (scratch / entry).resolve().is_relative_to(scratch.resolve()):
                    raise DataError("this zip names files outside of itself", path=file)
            archive.extractall(scratch)
    except zipfile.BadZipFile as error:
        raise DataError("this is not a zip file", path=file) from error
    runs = [*scratch.glob("run.json"), *scratch.glob("*/run.json")]
    if not runs:
        raise DataError("there is no packed run in this zip", path=file)
    return runs[0].parent


def workspace_models(workspace: Path | None, folder: Path) -> Path | None:
    """Models of the named workspace, else of the one that the folder lies in."""
    return workspace / "models" if workspace is not None else models_beside(folder)


def _new_folder(workspace: Path | None, data: str | None) -> Path | None:
    if workspace is None:
        return None
    from geolocator_gui.workspace import Workspace

    home = Workspace.create(workspace)
    return home.new_folder(home.training, (data or "run").partition(":")[0])
