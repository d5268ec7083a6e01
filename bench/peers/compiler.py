"""The system's C++ compiler."""

import os
import shutil

NAMES = ("g++", "clang++", "c++")


def find_compiler() -> str | None:
    """What `CXX` names, or the first compiler found; None where there is none."""
    for name in (os.environ.get("CXX", ""), *NAMES):
        found = shutil.which(name) if name else None
        if found is not None:
            return found
    return None
