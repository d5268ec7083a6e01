"""Loops whose iterations become lanes of vectors."""

from __future__ import annotations

from codegen.render.llvm_statements import StatementWriter


class LaneWriter(StatementWriter):
    pass
