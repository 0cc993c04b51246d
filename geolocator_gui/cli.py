"""The command line: `geolocator VERB`. Loads neither torch nor Qt until a verb needs them."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Annotated, NoReturn

import typer

from geolocator_gui import __version__
from geolocator_gui.errors import GeolocatorError, printable

app = typer.Typer(
    name="geolocator",
    help="Find where a photo was taken by matching it against satellite imagery, on your own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"geolocator {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the whole traceback of an error, and log what happens.")
    ] = False,
) -> None:
    """Find where a photo was taken by matching it against satellite imagery, on your own machine."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def mount() -> None:
    """Add the verbs, in the order of the help."""
    from geolocator_gui.cli_commands import (
        compare,
        demo,
        evaluate,
        imagery,
        index,
        localise,
        mine,
        model,
        pairs,
        serve,
        train,
    )

    app.command("demo")(demo.demo)
    app.add_typer(index.app, name="index")
    app.command("localise")(localise.localise)
    app.add_typer(model.app, name="model")
    app.command("embed")(model.embed)
    app.command("devices")(model.devices)
    app.add_typer(imagery.app, name="imagery")
    app.command("pairs")(pairs.pairs)
    app.command("train")(train.train)
    app.command("pack")(train.pack)
    app.command("publish")(train.publish)
    app.command("mine")(mine.mine)
    app.command("evaluate")(evaluate.evaluate)
    app.command("compare")(compare.compare)
    app.command("serve", hidden=True)(serve.serve)


def main() -> None:
    """Run the command line; the only place that turns errors into exit codes."""
    _settle_environment()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    arguments = (["--debug"] if debug else []) + [word for word in arguments if word != "--debug"]
    mount()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`): what is said goes nowhere
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal's encoding cannot say is escaped rather than the end of the answer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(args=arguments, prog_name="geolocator", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except GeolocatorError as error:
        if debug:
            raise
        print(f"geolocator: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("geolocator: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        words = getattr(
            error, "format_message", None
        )  # click's errors, which typer keeps under no public name
        if words is not None:
            _refuse(str(words()), getattr(error, "ctx", None))
        if debug:
            raise
        from geolocator_gui.runs import describe_fault

        print(
            f"geolocator: {describe_fault(error)}\nThis is a fault of the program or the machine; "
            "run it again with --debug to see where it happened.",
            file=sys.stderr,
        )
        sys.exit(1)


def _refuse(words: str, context: typer.Context | None) -> NoReturn:
    """Say in two lines what is wrong with the words of a command; no words: the help stands there already."""
    verb = "geolocator" if context is None else context.command_path
    if words:
        words = words.replace("Value error, ", "")  # what the library that checks the values puts before
        print(f"{verb}: {printable(words)}\nSee `{verb} --help`.", file=sys.stderr)
    sys.exit(2)


def _settle_environment() -> None:
    """What libraries read once, when they are first imported.

    Data folders of other PROJ and GDAL installations are forgotten; the wheels bring their own. numpy's
    matrix products stay on one thread, whatever the caller's shell says: its pool fights the encoder's and
    the readers' for the cores, and sums come out differently with other numbers of threads.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA"):
        os.environ.pop(name, None)


if __name__ == "__main__":
    main()
