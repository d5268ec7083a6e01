"""Sections of long programs (`codegen.passes.split`) as functions of their own."""

from __future__ import annotations

from collections.abc import Callable

from codegen.loops.nodes import Buffer, If, Statement
from codegen.passes.split import is_section
from codegen.passes.unused import memory_of
from codegen.render.llvm_parallel import ParallelWriter

PARAMETERS = (
    "ptr noalias %inputs, ptr noalias %outputs, ptr noalias %workspace, ptr noalias %status"
)
ARGUMENTS = "ptr %inputs, ptr %outputs, ptr %workspace, ptr %status"


class SectionWriter(ParallelWriter):
    """Writes the kernel, and one function for each section of a long program.

    `enter` writes what a function begins with: the places of the buffers that it uses.
    """

    enter: Callable[[set[Buffer]], None]
    sections = 0

    def whole(self, body: tuple[Statement, ...]) -> None:
        """The program: section by section where it is in sections, else as one function."""
        if len(body) > 1 and all(is_section(statement) for statement in body):
            for statement in body:
                assert isinstance(statement, If), "sections are blocks"
                self.section(statement)
            return
        self.enter(memory_of(body))
        self.block(body)

    def section(self, statement: If) -> None:
        """Write a function, and its call; what it returns but 0 is returned."""
        self.sections += 1
        name = f"@section{self.sections}"
        outer = self.state()
        self.restore(([], "entry", [], {}, {}, {}, ""))
        self.enter(memory_of(statement.then))
        self.block(statement.then)
        self.leave_function(0)
        lines = "\n".join(self.out.lines)
        self.restore(outer)
        self.out.definitions[name] = (
            f"define internal i32 {name}({PARAMETERS}) nounwind noinline {{\nentry:\n{lines}\n}}"
        )
        answer = self.write(f"call i32 {name}({ARGUMENTS})")
        failed = self.write(f"icmp ne i32 {answer}, 0")
        label, after = self.out.fresh_label("fail"), self.out.fresh_label("after")
        self.line(f"br i1 {failed}, label %{label}, label %{after}")
        self.out.start_block(label)
        self.line(f"ret i32 {answer}")
        self.out.start_block(after)
