"""The options of `python -m bench gpu`. Nothing heavy is imported here."""

import argparse
from pathlib import Path

NAMES = (
    "chain",
    "logsumexp",
    "softmax-cross-entropy",
    "layer-norm",
    "gmm",
    "kmeans",
    "greeks",
    "mlp",
    "conv",
    "ode",
    "segment-sums",
    "column-sums",
    "cumsum",
    "sort",
    "normal",
)
"""The rows of the table, in the order in which they are run and shown."""
SIZES = ("toy", "tiny", "medium", "large")
"""`toy` is for runs without a device; `tiny` has at most 10⁴ elements; `large` moves 2²⁸ bytes or
more, where that is what the row is about."""
DTYPES = ("float32", "float64")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench gpu`."""
    parser.add_argument("names", nargs="*", metavar="ROW", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--size", action="append", default=[], choices=SIZES)
    parser.add_argument("--dtype", default="float32", choices=DTYPES)
    parser.add_argument("--peer", action="append", default=[], help="another library; or 'none'")
    parser.add_argument("--seconds", type=float, default=1.0, help="of samples a row (default: 1)")
    parser.add_argument("--minutes", type=float, default=7.5, help="in all (default: 7.5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="docs/gpu-results.json")
    parser.add_argument("--page", type=Path, metavar="FILE", help="docs/gpu.md")
    parser.add_argument("--from", dest="source", type=Path, help="write the page of a result file")
    parser.add_argument(
        "--dry-run", action="store_true", help="without a GPU: toy sizes, the host's clock"
    )
