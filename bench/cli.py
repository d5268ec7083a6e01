"""The command line: `list`, `run`, `limits`, `compare`, `report`, `gpu`.

The status is 0, 1 for a failure found, 2 for misuse.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.environment import hold_threads
from bench.errors import BenchError
from bench.gpu.options import add_arguments

DESCRIPTION = "Gradients of plain NumPy code on every backend, checked, timed, and beside peers."
RUN_NOTE = """\
By default every installed peer takes part ('--peer none' for none of them) and every backend that
works here. Each size is a name (see 'list'), 'all', or key=value pairs that change the default
size. The status is 1 where a result was not the reference's or a subject failed."""
COMPARE_NOTE = """\
A subject is SLOWER where its median grew by more than the interquartile ranges of both runs (at
least 5 %) and its minimum grew by 5 % too. The status is 1 where one is."""


def build_parser() -> argparse.ArgumentParser:
    """The argument parser of the six commands."""
    parser = argparse.ArgumentParser(prog="bench", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="workloads with their sizes, backends and peers")
    run = commands.add_parser("run", help="check and time workloads", epilog=RUN_NOTE)
    run.add_argument("names", nargs="*", metavar="NAME", help="a workload")
    run.add_argument("--all", action="store_true", help="every workload")
    run.add_argument("--backend", action="append", default=[], help="one of tracer's backends")
    run.add_argument("--peer", action="append", default=[], help="another library; or 'none'")
    run.add_argument("--size", action="append", default=[], metavar="NAME|KEY=VALUE[,…]")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    run.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the medians there")
    run.add_argument("--smoke", action="store_true", help="tiny sizes, one repeat: does it work?")
    run.add_argument(
        "--seconds", type=float, default=3.0, help="of timing for each table (default: 3)"
    )
    run.add_argument("--threads", type=int, default=1, help="for all subjects alike (default: 1)")
    run.add_argument(
        "--startup",
        action=argparse.BooleanOptionalAction,
        help="warm starts and calls of the smallest size, too (default: but with --smoke)",
    )
    run.add_argument(
        "--traceback", action="store_true", help="show where in the code a subject failed"
    )
    limits = commands.add_parser("limits", help="what this machine can do: flops and bandwidth")
    limits.add_argument("--threads", type=int, default=1, help="to use (default: 1)")
    compare = commands.add_parser("compare", help="two result files", epilog=COMPARE_NOTE)
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    report = commands.add_parser("report", help="pages and plots of result files")
    report.add_argument("files", type=Path, nargs="+", metavar="RESULTS.json")
    report.add_argument("--page", type=Path, default=Path("docs/benchmarks.md"))
    report.add_argument("--pictures", type=Path, default=Path("docs/pictures"))
    add_arguments(commands.add_parser("gpu", help="measure on an NVIDIA GPU; see docs/gpu.md"))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the process's exit status."""
    options = build_parser().parse_args(arguments)
    try:
        return _dispatch(options)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has had enough; what Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(options: argparse.Namespace) -> int:
    # Imported late: the number of threads comes first, and `compare` needs no workload.
    if options.command == "compare":
        return _compare(options.old, options.new)
    if options.command == "report":
        return _report(options)
    if options.command == "gpu":  # whose processes see to themselves
        from bench.gpu import command

        return command.run(options)
    threads = options.threads if options.command in ("run", "limits") else 1
    if threads < 1:
        raise BenchError(f"--threads is {threads}; it has to be at least 1")
    if options.command == "run" and not options.seconds >= 0.0:
        raise BenchError(f"--seconds is {options.seconds}; it has to be 0 or more")
    hold_threads(threads)
    from bench import commands

    if options.command == "list":
        commands.show_list()
        return 0
    if options.command == "limits":
        commands.show_limits()
        return 0
    return commands.run(options)


def _report(options: argparse.Namespace) -> int:
    from bench.report import write_page
    from bench.results import read_report

    reports = [read_report(path) for path in options.files]
    for path in write_page(reports, options.page, options.pictures):
        print(f"wrote {path}")
    return 0


def _compare(old_path: Path, new_path: Path) -> int:
    from bench.compare import changes, show_changes
    from bench.display import PlainDisplay
    from bench.results import read_report

    old, new = read_report(old_path), read_report(new_path)
    return 1 if show_changes(changes(old, new), old, new, PlainDisplay()) else 0
