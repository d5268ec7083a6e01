"""The text of one kernel in NVVM's IR, instruction by instruction."""

from __future__ import annotations

from codegen.nvvm.kinds import SHARED, Kind, Pointer, Scalar, leaves
from codegen.nvvm.values import Value

TRIPLE = "nvptx64-nvidia-cuda"
LAYOUT = (
    "e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-i128:128:128-f32:32:32-f64:64:64-"
    "v16:16:16-v32:32:32-v64:64:64-v128:128:128-n16:32:64"
)

LOOPS = {
    "": "",
    "rolled": ", !llvm.loop !6",
    "full": ", !llvm.loop !8",
    "eights": ", !llvm.loop !10",
}
"""What the jump to the head of a loop says: nothing, that it is not unrolled, that all of it is, or
eight turns at a time.
"""


class Builder:
    """Writes into the current block; `block` is its label, and None after a jump out of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.slots: list[str] = []
        self.shared: list[str] = []
        self.declared: dict[str, str] = {}
        self.block: str | None = "entry"
        self.numbers = 0

    def fresh(self, word: str = "v") -> str:
        """A name that is not taken yet."""
        self.numbers += 1
        return f"{word}{self.numbers}"

    def do(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append("  " + text)

    def value(self, text: str) -> str:
        """The register that an instruction's result is in."""
        self.numbers += 1
        name = f"%v{self.numbers}"
        self.lines.append(f"  {name} = {text}")
        return name

    # Blocks

    def start(self, label: str) -> None:
        """Begin a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str, how: str = "") -> None:
        """Leave the block, if it has not been left; `how` is one of `LOOPS`."""
        if self.block is not None:
            self.do(f"br label %{label}" + LOOPS[how])
            self.block = None

    def jump_if(self, condition: str, then: str, otherwise: str) -> None:
        """Leave the block for one of two."""
        self.do(f"br i1 {condition}, label %{then}, label %{otherwise}")
        self.block = None

    def leave(self) -> None:
        """Return from the kernel."""
        self.do("ret void")
        self.block = None

    # Functions

    def call(self, name: str, result: str, types: tuple[str, ...], operands: list[str]) -> str:
        """The result of a function of NVVM's or of the device's library; "" of one without."""
        self.declared[name] = f"declare {result} @{name}({', '.join(types)})"
        given = ", ".join(f"{kind} {text}" for kind, text in zip(types, operands, strict=True))
        text = f"call {result} @{name}({given})"
        if result == "void":
            self.do(text)
            return ""
        return self.value(text)

    # Memory

    def slot(self, llvm: str) -> str:
        """Room for one part of a variable, in the function's first block."""
        name = f"%{self.fresh('s')}"
        self.slots.append(f"  {name} = alloca {llvm}")
        return name

    def array(self, element: Scalar, count: int, space: int) -> Value:
        """The address of an array of a thread's own, or of its block's."""
        number = 2 if element.family == "c" else 1
        whole = f"[{count * number} x {element.stored}]"
        kind = Pointer(element, space)
        if space == SHARED:
            name = f"@{self.fresh('shared')}"
            self.shared.append(f"{name} = internal addrspace(3) global {whole} undef, align 16")
            place = f"getelementptr inbounds ({whole}, {whole} addrspace(3)* {name}, i64 0, i64 0)"
            return Value(kind, (place,))
        name = f"%{self.fresh('a')}"
        self.slots.append(f"  {name} = alloca {whole}, align 16")
        place = f"%{self.fresh('p')}"
        self.slots.append(
            f"  {place} = getelementptr inbounds {whole}, {whole}* {name}, i64 0, i64 0"
        )
        return Value(kind, (place,))

    def fetch(self, kind: Kind, slots: tuple[str, ...]) -> Value:
        """What a variable holds."""
        return Value(
            kind,
            tuple(
                self.value(f"load {llvm}, {llvm}* {slot}")
                for llvm, slot in zip(leaves(kind), slots, strict=True)
            ),
        )

    def keep(self, value: Value, slots: tuple[str, ...]) -> None:
        """Let a variable hold a value of its own kind."""
        for llvm, part, slot in zip(leaves(value.kind), value.parts, slots, strict=True):
            self.do(f"store {llvm} {part}, {llvm}* {slot}")

    def module(self, name: str, parameters: list[str], types: list[str]) -> str:
        """The whole module, whose one kernel has these parameters."""
        return "\n".join(
            [
                f'target triple = "{TRIPLE}"',
                f'target datalayout = "{LAYOUT}"',
                "",
                *self.shared,
                "",
                f"define void @{name}({', '.join(parameters)}) {{",
                "entry:",
                *self.slots,
                *self.lines,
                "}",
                "",
                *self.declared.values(),
                "",
                "!nvvmir.version = !{!0}",
                "!nvvm.annotations = !{!1}",
                "!0 = !{i32 2, i32 0}",
                f'!1 = !{{void ({", ".join(types)})* @{name}, !"kernel", i32 1}}',
                "!2 = !{i32 0, i32 1024}",
                "!3 = !{i32 0, i32 2147483647}",
                "!4 = !{i32 1, i32 1025}",
                "!5 = !{i32 1, i32 -2147483648}",
                "!6 = distinct !{!6, !7}",
                '!7 = !{!"llvm.loop.unroll.disable"}',
                "!8 = distinct !{!8, !9}",
                '!9 = !{!"llvm.loop.unroll.full"}',
                "!10 = distinct !{!10, !11}",
                '!11 = !{!"llvm.loop.unroll.count", i32 8}',
                "",
            ]
        )
