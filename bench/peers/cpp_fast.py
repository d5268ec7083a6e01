"""C++ with `-ffast-math` on top: sums in any order, vector functions, no special values."""

from bench.peers.cpp import FAST, Cpp

PEER = Cpp("cpp-fast", FAST)
