"""Other libraries, run on the same workloads: one file each."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from bench.environment import INSTALL_PEERS
from bench.errors import BenchError
from bench.peers.compiler import find_compiler
from bench.subjects import Subject

COMPILER = "a C++ compiler"


@dataclass(frozen=True)
class PeerEntry:
    """Where a peer's subject is defined, the package that it needs, and what it is."""

    module: str
    package: str
    """Or `COMPILER`: what it needs is the system's C++ compiler."""
    description: str
    default: bool = True


PEERS: Mapping[str, PeerEntry] = {
    "autograd": PeerEntry("bench.peers.autograd", "autograd", "HIPS autograd, eager"),
    "jax": PeerEntry("bench.peers.jax", "jax", "JAX, jit, 64 bits"),
    "torch": PeerEntry("bench.peers.torch", "torch", "PyTorch, eager, float64"),
    "torch-compile": PeerEntry(
        "bench.peers.torch_compile", "torch", "PyTorch, torch.compile; only by name", default=False
    ),
    "numba": PeerEntry("bench.peers.numba", "numba", "the gradient written by hand for numba.njit"),
    "cpp": PeerEntry("bench.peers.cpp", COMPILER, "the gradient in C++, -O3 -march=native"),
    "cpp-fast": PeerEntry(
        "bench.peers.cpp_fast", COMPILER, "with -ffast-math too; only by name", default=False
    ),
}


def is_installed(name: str) -> bool:
    """Whether the package of a peer can be imported, or a compiler is there for it."""
    if PEERS[name].package == COMPILER:
        return find_compiler() is not None
    return find_spec(PEERS[name].package) is not None


def missing_peer(name: str) -> str:
    """The sentence that says how to install a peer."""
    if PEERS[name].package == COMPILER:
        return f"{COMPILER} is not installed: install g++ or clang++, or name one in CXX"
    return f"{PEERS[name].package} is not installed: {INSTALL_PEERS}"


def load_peer(name: str) -> Subject:
    """The subject of a peer; `BenchError` where its package is missing."""
    if not is_installed(name):
        raise BenchError(missing_peer(name))
    subject: Subject = importlib.import_module(PEERS[name].module).PEER
    return subject
