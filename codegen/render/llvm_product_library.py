"""The functions of `llvm_product_text` as machine code: made once a process, or read from disk.

Programs call them by address. They do not depend on a program, so no program's compilation pays for
them but the first, and where that machine has run one before, not even that.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from codegen.cache import object_store
from codegen.render.llvm_machine import object_code, processor, target_machine
from codegen.render.llvm_product_text import library_text, product_name
from codegen.render.llvm_product_writer import Tile

NAME = re.compile(r"(float|double)_(\d+)x(\d+)x(\d+)")
SIZES = {"float": 4, "double": 8}


@cache
def product_address(suffix: str) -> int:
    """The address of the product for the tile that a name's end describes."""
    found = NAME.fullmatch(suffix)
    assert found is not None, "names of products are made from tiles"
    element, rows, vectors, width = found.groups()
    tile = Tile(element, SIZES[element], int(width), int(rows), int(vectors))
    address: int = _engine(tile).get_function_address(product_name(tile))
    return address


@cache
def _engine(tile: Tile) -> Any:
    """The loaded code, which stays for the whole process."""
    text = library_text(tile)
    store = object_store()
    key = f"{processor()}\n{text}"
    code = None if store is None else store.get(key)
    if code is None:
        code = object_code(text)
        if store is not None:
            store.put(key, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine
