"""`python -m tracer`: draw, explain and time functions of a file, and say what is installed."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracer
from tracer import config, view
from tracer.errors import TracerError

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "optree", "matplotlib", "sympy", "cupy-cuda13x")


class UsageError(Exception):
    """What the user wrote cannot be understood."""


def load(place: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function of `FILE.py:FUNCTION` or `module:function`, and the names of its module."""
    where, _, name = place.rpartition(":")
    if not where:
        raise UsageError(f"write FILE.py:FUNCTION, not {place!r}")
    if where.endswith(".py"):
        if not os.path.exists(where):
            raise UsageError(f"there is no file {where}")
        stem = os.path.splitext(os.path.basename(where))[0]
        spec = importlib.util.spec_from_file_location(stem, where)
        if spec is None or spec.loader is None:
            raise UsageError(f"{where} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(stem, module)
        sys.path.insert(0, os.path.dirname(os.path.abspath(where)))
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(where)
    if not callable(getattr(module, name, None)):
        raise UsageError(f"{where} has no function {name}")
    return getattr(module, name), vars(module)


def arguments(text: str, names: dict[str, Any]) -> tuple[Any, ...]:
    """The values of `--args`: Python expressions between commas, with np and the module's names."""
    known = {"np": np, "tracer": tracer, **names}
    try:
        return tuple(eval(f"({text},)" if text.strip() else "()", known))
    except Exception as error:
        raise UsageError(f"--args {text!r}: {type(error).__name__}: {error}") from None


def draw(options: argparse.Namespace) -> None:
    """The picture of a function's graph, into a file or onto the terminal."""
    function, names = load(options.function)
    picture = view.draw(
        function,
        *arguments(options.args, names),
        adjoint=options.adjoint,
        values=not options.no_values,
        kernels=options.kernels,
    )
    if options.output:
        picture.save(options.output)
        print(f"wrote {options.output}")
    else:
        print(picture)


def explain(options: argparse.Namespace) -> None:
    """The derivation of a function's derivative, as text, Markdown or HTML."""
    function, names = load(options.function)
    found = view.explain(function, *arguments(options.args, names))
    text: str = getattr(found, options.format)()
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        print(f"wrote {options.output}")
    else:
        print(text)


def profile(options: argparse.Namespace) -> None:
    """Where the time of a compiled function goes, into a file or onto the terminal."""
    function, names = load(options.function)
    found = view.profile(function, *arguments(options.args, names))
    if options.output:
        found.save(options.output)
        print(f"wrote {options.output}")
    else:
        print(found)


def environment(options: argparse.Namespace) -> None:
    """Versions and switches, as a report of a bug needs them."""
    print(f"tracer      {tracer.__version__}")
    print(f"python      {platform.python_version()} {platform.system()} {platform.machine()}")
    for name in PACKAGES:
        try:
            print(f"{name:<11} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name:<11} not installed")
    for name, switch in config.SWITCHES.items():
        print(f"{switch.variable:<20} {config.get(name)}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m tracer", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, action, help_text in (
        ("draw", draw, "draw the computation graph of a function"),
        ("explain", explain, "derive the derivative of a function step by step"),
        ("profile", profile, "time the kernels of a compiled function"),
    ):
        sub = commands.add_parser(name, help=help_text)
        sub.add_argument("function", metavar="FILE.py:FUNCTION")
        sub.add_argument("--args", default="", help='for instance "2.0, np.ones(3)"')
        sub.add_argument("--output", "-o", help="a file; without it the terminal")
        sub.set_defaults(action=action)
        if name == "draw":
            sub.add_argument("--adjoint", action="store_true", help="with the adjoint beside it")
            sub.add_argument("--kernels", action="store_true", help="boxes around what is fused")
            sub.add_argument("--no-values", action="store_true", help="types only")
        if name == "explain":
            sub.add_argument("--format", choices=("text", "markdown", "html"), default="text")
    sub = commands.add_parser("env", help="versions and switches")
    sub.set_defaults(action=environment)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = parser().parse_args(words)
    try:
        options.action(options)
    except (UsageError, TracerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
