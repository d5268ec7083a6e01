"""Statements of kernel text as instructions, and the kernel as a module of NVVM's IR."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from codegen.device.schedule import Argument
from codegen.nvvm import arithmetic, device
from codegen.nvvm.builder import Builder
from codegen.nvvm.expressions import Expressions
from codegen.nvvm.kinds import GLOBAL, INT64, LOCAL, Pointer, Scalar, scalar_of
from codegen.nvvm.values import KernelError, Value, constant, item
from codegen.nvvm.variables import Again, Frame, Known

ATTEMPTS = 1000
"""How often a kernel is begun again at most; each time some name has become memory or wider."""
MOST_TURNS = 32
"""Turns of a loop that is written out so that a thread's own memory is in registers, at most."""
SHORT = 8
"""Statements of a loop of more turns that is unrolled by eights, at most."""
RESULT = "result of the function"


class Compiler(Expressions):
    """Writes one kernel. `loops` are the labels that `continue` and `break` lead to."""

    def __init__(
        self,
        module: Mapping[str, ast.expr],
        procedures: Mapping[str, ast.FunctionDef],
        known: Known,
    ) -> None:
        self.builder = Builder()
        self.module = module
        self.procedures = procedures
        self.known = known
        self.loops: list[tuple[str, str]] = []
        self.calls = 0
        self.ends: list[str | None] = [None]
        """Where `return` leads to: out of the kernel, or behind the function put in place."""

    def kernel(self, function: ast.FunctionDef, arguments: Sequence[Argument]) -> str:
        """The module of a kernel whose parameters are `arguments`."""
        builder = self.builder
        self.frame = Frame(function, "kernel", builder, self.known)
        parameters, types = [], []
        for argument in arguments:
            kind = scalar_of(argument.dtype)
            given: Pointer | Scalar = kind
            marks = ""
            if argument.kind != "scalar":
                given = Pointer(kind, GLOBAL)
                marks = " noalias readonly" if argument.fixed else ""
            text = f"%{argument.name}"
            types.append(given.llvm)
            parameters.append(f"{given.llvm}{marks} {text}")
            self.frame.assign(argument.name, Value(given, (text,)))
        self.suite(function.body)
        if builder.block is not None:
            builder.leave()
        return builder.module(function.name, parameters, types)

    def suite(self, body: Sequence[ast.stmt]) -> None:
        """A block of statements, up to one that leaves it."""
        self.frame.enter()
        for statement in body:
            if self.builder.block is None:
                break
            try:
                self.statement(statement)
            except KernelError as error:
                if not error.place:
                    error.place = f"line {statement.lineno}: {ast.unparse(statement)[:200]}"
                raise
        self.frame.leave()

    def statement(self, statement: ast.stmt) -> None:
        """One statement."""
        match statement:
            case ast.Assign(targets, value):
                found = self.expression(value)
                for target in targets:
                    self.assign(target, found)
            case ast.AugAssign(target, operator, value):
                self.augment(target, operator, value)
            case ast.For():
                self.for_loop(statement)
            case ast.While():
                self.while_loop(statement)
            case ast.If():
                self.condition(statement)
            case ast.Expr(value):
                if not isinstance(value, ast.Constant):
                    self.expression(value)
            case ast.Pass():
                pass
            case ast.Break() | ast.Continue():
                if not self.loops:
                    raise KernelError("there is no loop to leave")
                self.builder.jump(self.loops[-1][isinstance(statement, ast.Break)])
            case ast.Return(value):
                self.leave(value)
            case _:
                raise KernelError(f"there is no meaning of {type(statement).__name__}")

    def assign(self, target: ast.expr, value: Value) -> None:
        """Let a name, several, or an element be a value."""
        match target:
            case ast.Name(name):
                self.frame.assign(name, value)
            case ast.Tuple(targets):
                for position, each in enumerate(targets):
                    self.assign(each, item(value, position))
            case ast.Subscript(array, place):
                start, index = self.expression(array), self.expression(place)
                device.store(self.builder, start, index, value)
            case _:
                raise KernelError(f"nothing can be assigned to {ast.unparse(target)}")

    def augment(self, target: ast.expr, operator: ast.operator, value: ast.expr) -> None:
        """`+=` and its kin."""
        match target:
            case ast.Name(name):
                before = self.frame.read(name)
                self.frame.assign(name, self.binary(operator, before, self.expression(value)))
            case ast.Subscript(array, place):
                start, index = self.expression(array), self.expression(place)
                before = device.load(self.builder, start, index)
                after = self.binary(operator, before, self.expression(value))
                device.store(self.builder, start, index, after)
            case _:
                raise KernelError(f"nothing can be added to {ast.unparse(target)}")

    # Control flow

    def condition(self, statement: ast.If) -> None:
        """`if`."""
        builder = self.builder
        test = arithmetic.truth(builder, self.expression(statement.test))
        then, otherwise, after = (builder.fresh(word) for word in ("then", "else", "after"))
        builder.jump_if(test.text, then, otherwise if statement.orelse else after)
        builder.start(then)
        self.suite(statement.body)
        left = builder.block is None
        builder.jump(after)
        if statement.orelse:
            builder.start(otherwise)
            self.suite(statement.orelse)
            left = left and builder.block is None
            builder.jump(after)
            if left:
                return
        builder.start(after)

    def for_loop(self, statement: ast.For) -> None:
        """A loop over `range`. A step that is not a number in the text is above 0."""
        match statement:
            case ast.For(ast.Name(index), ast.Call(ast.Name("range"), arguments, []), _, []):
                pass
            case _:
                raise KernelError("loops are over range, without else")
        builder = self.builder
        bounds = [
            arithmetic.cast(builder, self.expression(argument), INT64) for argument in arguments
        ]
        start = bounds[0] if len(bounds) > 1 else constant(INT64, 0)
        stop = bounds[0] if len(bounds) == 1 else bounds[1]
        step = bounds[2] if len(bounds) == 3 else constant(INT64, 1)
        head, body, following, after = (
            builder.fresh(word) for word in ("head", "body", "next", "after")
        )
        before = builder.block
        builder.jump(head)
        builder.start(head)
        place, moved = f"%{builder.fresh('i')}", f"%{builder.fresh('i')}"
        builder.do(f"{place} = phi i64 [{start.text}, %{before}], [{moved}, %{following}]")
        sign = "sgt" if isinstance(step.number, int) and step.number < 0 else "slt"
        inside = builder.value(f"icmp {sign} i64 {place}, {stop.text}")
        builder.jump_if(inside, body, after)
        builder.start(body)
        self.loops.append((following, after))
        self.frame.enter()
        self.frame.bind_index(index, Value(INT64, (place,)))
        self.suite(statement.body)
        self.frame.leave()
        self.loops.pop()
        builder.jump(following)
        builder.start(following)
        builder.do(f"{moved} = add nsw i64 {place}, {step.text}")
        # A grid's steps: few for each thread. Unrolled, they would begin with a division.
        rolled = "rolled" if step.number is None else ""
        builder.jump(head, rolled or self.unrolled(statement))
        builder.start(after)

    def unrolled(self, loop: ast.For) -> str:
        """How a loop of known turns is unrolled: in full where it has few and walks through a
        thread's own memory, which is in registers only where all places are numbers; by eights a
        short one of many, of which NVVM would keep all that it reads in registers.
        """
        match loop:
            case ast.For(ast.Name(index), ast.Call(_, [ast.Constant(int(turns))]), body, []):
                if turns > MOST_TURNS:
                    return "eights" if len(body) <= SHORT else ""
                return "full" if any(self.has_own_element(part, index) for part in body) else ""
        return ""

    def has_own_element(self, statement: ast.stmt, index: str) -> bool:
        """Whether a statement accesses an element of such memory at a place that `index` tells."""
        for part in ast.walk(statement):
            if not isinstance(part, ast.Subscript) or not isinstance(part.value, ast.Name):
                continue
            bound = self.frame.bound.get(part.value.id)
            kind = None if bound is None else bound.value.kind
            names = [name.id for name in ast.walk(part.slice) if isinstance(name, ast.Name)]
            if isinstance(kind, Pointer) and kind.space == LOCAL and index in names:
                return True
        return False

    def while_loop(self, statement: ast.While) -> None:
        """`while`; `while True` ends by `break` alone."""
        if statement.orelse:
            raise KernelError("loops have no else")
        builder = self.builder
        head, body, after = (builder.fresh(word) for word in ("head", "body", "after"))
        builder.jump(head)
        builder.start(head)
        if not isinstance(statement.test, ast.Constant):
            test = arithmetic.truth(builder, self.expression(statement.test))
            builder.jump_if(test.text, body, after)
            builder.start(body)
        self.loops.append((head, after))
        self.suite(statement.body)
        self.loops.pop()
        builder.jump(head)
        builder.start(after)

    # Functions

    def leave(self, value: ast.expr | None) -> None:
        """`return`."""
        end = self.ends[-1]
        if end is None:
            self.builder.leave()
            return
        if value is not None:
            self.frame.assign(RESULT, self.expression(value))
        self.builder.jump(end)

    def procedure(self, function: ast.FunctionDef, values: list[Value]) -> Value:
        """The result of one of the module's own functions, which is put in place."""
        builder = self.builder
        self.calls += 1
        outer, loops = self.frame, self.loops
        end = builder.fresh("end")
        self.frame = Frame(function, f"{function.name}{self.calls}", builder, self.known)
        self.loops = []
        self.ends.append(end)
        parameters = [argument.arg for argument in function.args.args]
        if len(parameters) != len(values):
            raise KernelError(f"{function.name} takes {len(parameters)} arguments")
        for name, given in zip(parameters, values, strict=True):
            self.frame.assign(name, given)
        *body, last = function.body
        simple = isinstance(last, ast.Return) and not any(
            isinstance(part, ast.Return) for statement in body for part in ast.walk(statement)
        )
        if simple:
            assert isinstance(last, ast.Return), "it is one"
            self.suite_open(body)
            found = device.NONE if last.value is None else self.expression(last.value)
            self.frame.leave()
        else:
            self.frame.counted[RESULT] = 2
            self.suite(function.body)
            builder.jump(end)
            builder.start(end)
            found = self.frame.read(RESULT) if RESULT in self.frame.slots else device.NONE
        self.frame, self.loops = outer, loops
        self.ends.pop()
        return found

    def suite_open(self, body: Sequence[ast.stmt]) -> None:
        """A block of statements whose names are still known after it."""
        self.frame.enter()
        for statement in body:
            self.statement(statement)


def ir_of(source: str, name: str, arguments: Sequence[Argument]) -> str:
    """A kernel's text as a module of NVVM's IR, whose one kernel has the name.

    Each argument is one parameter: an address in global memory, or a number. Raises KernelError,
    which names the line, for text that has no meaning here.
    """
    module: dict[str, ast.expr] = {}
    procedures: dict[str, ast.FunctionDef] = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.FunctionDef(function):
                procedures[function] = statement
            case ast.Assign([ast.Name(constant_name)], value):
                module[constant_name] = value
    known = Known()
    for _ in range(ATTEMPTS):
        compiler = Compiler(module, procedures, known)
        try:
            return compiler.kernel(procedures[name], arguments)
        except Again:
            continue
    raise KernelError(f"the kinds of the names of {name} are not found")
