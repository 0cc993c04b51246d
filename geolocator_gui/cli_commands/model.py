"""`geolocator model`, `geolocator embed`, `geolocator devices`: models, vectors, and what runs them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from geolocator_gui.cli_commands.console import print_json
from geolocator_gui.errors import BundleError, ConfigError, FaultError, InputError

if TYPE_CHECKING:
    from geolocator_gui.ml.bundle import Bundle

app = typer.Typer(help="Models: add downloaded weights, list, show and export them.", no_args_is_help=True)

WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", metavar="DIR", help="Use the models of this workspace before all others."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ArchitectureOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="timm name of the network, where the weights do not tell it."),
]


@app.command("add")
def add(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE|DIR", help="Weights (.pth, .pt, .safetensors) or a model folder."),
    ],
    preset: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="PRESET",
            help="What it is, where path and file name do not tell it, such as sample4geo-cvusa.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the new model; the preset's if not given.")
    ] = None,
    architecture: ArchitectureOption = None,
    side_m: Annotated[
        float | None, typer.Option(metavar="METRES", help="Ground that a chip's side covers.")
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Link the file instead of copying it.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add downloaded weights to your models and prove them with a forward pass.

    The released Sample4Geo checkpoints are told apart by their path and file name. Where that says nothing,
    choose a preset with --as; without it you are told which there are and what each implies.
    """
    from geolocator_gui.ml.model_store import add_model, describe, models_folder

    models = _models(workspace)
    bundle = add_model(
        file.expanduser(),
        preset,
        models_folder(models),
        name=name,
        architecture=architecture,
        side_m=side_m,
        link=link,
        replace=replace,
        workspace_models=models,
    )
    if as_json:
        print_json(describe(bundle))
        return
    print(f"Added {bundle.name}: {bundle.folder}")
    if not bundle.config.source:
        side, (height, width) = bundle.config.satellite_size, bundle.config.ground_size
        print(
            f"These are weights of {bundle.config.architecture}, not the released ones: "
            f"satellite {side}x{side}, ground {height}x{width}."
        )
    print(f"A forward pass of both views works. Use it with --model {bundle.name}.")
    if bundle.config.side_m is None:
        print("How much ground a chip covers is not known: give --side-m METRES when you build an index.")


@app.command("list")
def list_models(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the models here: your own, the workspace's and the shipped ones."""
    from geolocator_gui.ml.bundle import list_bundles

    found = list_bundles(_models(workspace))
    if as_json:
        print_json([_row(bundle) for bundle in found])
        return
    width = max((len(bundle.name) for bundle in found), default=4)
    for bundle in found:
        config = bundle.config
        side = f"chips of {config.side_m:g} m" if config.side_m else "chips: you say"
        state = "ready" if bundle.has_weights else "needs its weights (geolocator model add)"
        print(f"{bundle.name:<{width}}  {side:<14}  {config.ground_view.replace('_', ' '):<14}  {state}")


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(metavar="NAME|DIR|FILE", help="A model or a weights file.")],
    architecture: ArchitectureOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of a model, or all that a weights file tells by itself."""
    from geolocator_gui.ml.bundle import find_bundle
    from geolocator_gui.ml.model_store import describe, describe_file

    path = Path(model).expanduser()
    facts: dict[str, Any]
    if path.is_file():
        facts = describe_file(path, architecture)
    else:
        facts = describe(find_bundle(model, _models(workspace)))
    if as_json:
        print_json(facts)
        return
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{key:<20} {'not known' if not value else ''}".rstrip())
            for name, number in value.items():
                print(f"  {number:>8g}  {name}")
        else:
            print(f"{key:<20} {_words(value, ' x ' if key.endswith('size') else ', ')}")


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(metavar="NAME|DIR", help="The model.")],
    safetensors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write bare weights as .safetensors.")
    ] = None,
    pth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a state dict that the published code loads.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a model's weights to a file, in float32."""
    from geolocator_gui.ml.bundle import find_bundle
    from geolocator_gui.ml.model_store import export_model

    if safetensors is None and pth is None:
        raise ConfigError("nothing to write is named", hint="Say --safetensors FILE or --pth FILE, or both.")
    bundle = find_bundle(model, _models(workspace))
    for path, form in ((safetensors, "safetensors"), (pth, "pth")):
        if path is not None:
            export_model(bundle, path.expanduser(), form)
            print(f"Wrote {path}")


def embed(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Images, in the order of the rows.")],
    model: Annotated[str, typer.Option(metavar="NAME|DIR|FILE", help="The model, or a weights file.")],
    view: Annotated[Literal["satellite", "ground"], typer.Option(help="Which of the two inputs they are.")],
    out: Annotated[Path, typer.Option(metavar="FILE.npy", help="The vectors: float32, images x numbers.")],
    architecture: ArchitectureOption = None,
    preset: Annotated[
        str | None, typer.Option("--as", metavar="PRESET", help="Preprocessing for a bare weights file.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
    backend: Annotated[str, typer.Option(help="auto, torch or openvino.")] = "torch",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.")] = "fp32",
    threads: Annotated[int | None, typer.Option(help="CPU threads; one per core if not given.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn images into unit vectors, as the published evaluation does: cut, resize, normalise, embed.

    Exact by default (float32 by PyTorch); give --backend auto --precision auto for the fastest way. Ground
    images are taken as they are: not turned to north, not put on a panorama.
    """
    import numpy as np

    from geolocator_gui.geo.photo import load_image
    from geolocator_gui.ml.encoder import Encoder
    from geolocator_gui.ml.transforms import prepare

    _check_places(images, out)
    bundle = _bundle(model, preset, architecture, workspace)
    with Encoder(bundle, device=device, backend=backend, precision=precision, threads=threads) as encoder:
        parts = []
        for start in range(0, len(images), 64):  # so that memory does not grow with the number of images
            some = images[start : start + 64]
            pixels = np.stack([prepare(load_image(path), view, bundle.config) for path in some])
            parts.append(encoder.embed(pixels, view))
        vectors = np.concatenate(parts)
        facts = encoder.description
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("wb") as file:
            np.save(file, vectors)
    except OSError as error:
        raise FaultError(f"the vectors cannot be written ({error.strerror or error})", path=out) from error
    if as_json:
        print_json({"file": str(out), "images": len(vectors), "size": vectors.shape[1], **facts})
    else:
        many = "1 vector" if len(vectors) == 1 else f"{len(vectors)} vectors"
        print(f"Wrote {many} of {vectors.shape[1]} numbers to {out}")


def devices(
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    backend: Annotated[str, typer.Option(help="auto, torch or openvino.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16, fp16 or int8.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; one per core if not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List what this machine can run a model on, and what is chosen when you choose nothing."""
    from geolocator_gui.ml.devices import survey

    found = survey(device=device, backend=backend, precision=precision, threads=threads)
    if as_json:
        print_json(found)
        return
    for one in found["devices"]:
        print(f"{one['device']:<5} {one['name']}")
        print(f"      memory {one['memory_bytes'] / 2**30:.1f} GiB{one['detail']}")
        for name, precisions in one["backends"].items():
            print(f"      {name}: {', '.join(precisions)}")
    chosen = found["chosen"]
    print(
        f"Chosen: {chosen['device']}, {chosen['backend']}, {chosen['precision']}, "
        f"{chosen['threads']} thread{'s' if chosen['threads'] != 1 else ''}"
    )
    for note in found["notes"]:
        print(note)
    print("Another choice: --device, --backend and --precision here, of `geolocator index` and of `embed`.")


def _check_places(images: list[Path], out: Path) -> None:
    """Refuse before a model is loaded what would fail after it."""
    for path in images:
        if not path.is_file():
            raise InputError(
                "this is not an image file" if path.exists() else "the image does not exist",
                path=path,
                hint="Check the name of the file.",
            )
    if out.is_dir() or (out.exists() and not out.is_file()):
        raise InputError("this is not a file to write", path=out, hint="Name a FILE.npy with --out.")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError("no file can be written there", path=out, hint="Name another --out.")


def _bundle(model: str, preset: str | None, architecture: str | None, workspace: Path | None) -> Bundle:
    from geolocator_gui.ml.bundle import find_bundle
    from geolocator_gui.ml.weights.presets import bundle_of_file

    path, models = Path(model).expanduser(), _models(workspace)
    if path.is_file():
        return bundle_of_file(
            path,
            preset=preset,
            architecture=architecture,
            workspace_models=models,
            bare=architecture is not None,  # who names the network knows what it takes
        )
    if preset is not None:
        raise BundleError("--as is for bare weights files; this model says itself what it is", path=model)
    bundle = find_bundle(model, models)
    if architecture is not None and architecture != bundle.config.architecture:
        raise BundleError(
            f"this model is a {bundle.config.architecture}, not a {architecture}", path=bundle.folder
        )
    return bundle


def _models(workspace: Path | None) -> Path | None:
    if workspace is None:
        return None
    from geolocator_gui.workspace import Workspace

    return Workspace.open(workspace).models


def _row(bundle: Bundle) -> dict[str, Any]:
    config = bundle.config
    return {
        "name": bundle.name,
        "title": config.title,
        "architecture": config.architecture,
        "ground_view": config.ground_view,
        "side_m": config.side_m,
        "has_weights": bundle.has_weights,
        "folder": str(bundle.folder),
    }


def _words(value: Any, between: str) -> str:
    if value is None:
        return "not known"
    if isinstance(value, list):
        return between.join(str(part) for part in value)
    return str(value) if value != "" else "not known"
