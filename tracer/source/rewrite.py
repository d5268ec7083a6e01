"""The rewriting itself: branches and loops become functions of no arguments, handed to the
operators.

    if x > 0:                      def __branch_1__():
        y = f(x)                       nonlocal y
    else:             becomes          y = __operators__.callee(f)(x)
        y = x                      def __branch_2__():
                                       nonlocal y
                                       y = x
                                   __operators__.if_(x > 0, __branch_1__, __branch_2__, ("y",), ())

The functions write the variables of the function around them, as the statements did, so on concrete
values the operators just call them. On traced ones the operators read and write the variables'
cells.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from tracer.source.flow import Names, Usage, annotate, exposed, updated_only, usage
from tracer.source.jumps import Jumps, contains
from tracer.source.syntax import (
    OPERATORS,
    any_flag,
    bound_directly,
    can_wait,
    delayed,
    function_of,
    handed_over,
    index_expression,
    is_fixed,
    is_generator,
    is_simple,
    is_static,
    located,
    mangled,
    name_of,
    parameter_names,
)

ITEM = "__item__"
ERROR = "__error__"
REGION_PREFIXES = ("__branch_", "__body_", "__test_")
_COUNTED = {"enumerate", "zip", "reversed", "range"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
    ast.Is: "is_", ast.IsNot: "is_not", ast.In: "in_", ast.NotIn: "not_in",
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.MatMult: "matmul",
}  # fmt: skip
_SIGNS: dict[type[ast.unaryop], str] = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert"}


@dataclass(frozen=True)
class World:
    """What a function can see around it: the names of modules, and whether a class of the user's
    among what it sees has arithmetic operators."""

    modules: Names = frozenset()
    has_operators: bool = False

    def is_module(self, node: ast.expr) -> bool:
        """Whether an expression is a path of names that begins with a module."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.modules


class Rewriter(ast.NodeTransformer):
    """Rewrites one function; nested ones get a rewriter each."""

    def __init__(
        self, class_name: str | None, world: World, counter: list[int] | None = None
    ) -> None:
        self._class_name = class_name
        self._world = world
        self._counter = [0] if counter is None else counter
        self._used = Usage()
        self._own: Names = frozenset()
        self._first_argument: str | None = None
        self._handed: set[str] = set()  # names that a branch or loop writes for its function
        self._uncertain: Names = frozenset()

    def definition(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """The function rewritten; its decorators and defaults are left alone."""
        parameters = parameter_names(node.args)
        self._first_argument = parameters[0] if parameters else None
        node.body = Jumps().function(node.body)
        self._used = usage(node.body)
        declared = frozenset(self._used.global_names | self._used.nonlocal_names)
        self._own = (frozenset(self._used.binds) | frozenset(parameters)) - declared
        always = frozenset(self._used.captured) | declared
        annotate(node.body, always, always)
        direct = bound_directly(node.body) | frozenset(parameters)
        self._uncertain = (self._own - direct) & handed_over(node.body)
        node.body = self._statements(node.body)
        self._declare(node.body, self._own - frozenset(parameters), after_docstring=True)
        return node

    def expression(self, node: ast.Lambda) -> ast.Lambda:
        """A lambda rewritten."""
        parameters = parameter_names(node.args)
        self._first_argument = parameters[0] if parameters else None
        node.body = self.visit(node.body)
        return node

    # Statements

    def _statements(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in statements:
            rewritten = self.visit(statement)
            result += rewritten if isinstance(rewritten, list) else [rewritten]
        return result

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A nested function."""
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        self._visit_defaults(node.args)
        if is_generator(node):
            return node
        return Rewriter(self._class_name, self._world, self._counter).definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Coroutines stay as they are."""
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """Classes stay as they are: their methods are converted when they are called."""
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """A nested lambda."""
        self._visit_defaults(node.args)
        return Rewriter(self._class_name, self._world, self._counter).expression(node)

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(default) for default in arguments.defaults]
        arguments.kw_defaults = [d and self.visit(d) for d in arguments.kw_defaults]

    def visit_If(self, node: ast.If) -> Any:
        """A branch on a value that may be traced."""
        if is_static(node.test):
            node.test = self.visit(node.test)
            node.body = self._statements(node.body)
            node.orelse = self._statements(node.orelse)
            return node
        live: Names = node.live  # type: ignore[attr-defined]
        returns = contains([node], ast.Return)
        bound = frozenset(usage(node.body + node.orelse).binds)
        read = frozenset(exposed(node.body) | exposed(node.orelse))
        outputs = bound & live
        test = self.visit(node.test)
        branches: list[ast.expr] = []
        functions: list[ast.stmt] = []
        for statements in (node.body, node.orelse):
            if not statements or all(isinstance(statement, ast.Pass) for statement in statements):
                branches.append(ast.Constant(None))
                continue
            function = self._region("branch", statements, bound & (live | read), node)
            functions.append(function)
            branches.append(ast.Name(function.name, ast.Load()))
        dead = (bound & read) - live
        call = self._call("if_", [test, *branches, self._names(outputs), self._names(dead)], node)
        last = ast.Return(call) if returns else ast.Expr(call)
        return [*functions, located(last, node)]

    def visit_While(self, node: ast.While) -> Any:
        """A loop whose test may be traced."""
        stops: list[str] = node.stops  # type: ignore[attr-defined]
        test = node.test
        if stops:
            going = located(ast.UnaryOp(ast.Not(), located(any_flag(stops), node.test)), node.test)
            always = isinstance(node.test, ast.Constant) and node.test.value
            test = going if always else located(ast.BoolOp(ast.And(), [going, test]), node.test)
        live: Names = node.live  # type: ignore[attr-defined]
        asked = self._region("test", [located(ast.Return(test), node.test)], frozenset(), node.test)
        body, outputs, updates = self._loop_body(node.body, live, node)
        arguments = [name_of(asked.name), name_of(body.name), outputs, updates]
        return [asked, body, located(ast.Expr(self._call("while_", arguments, node)), node)]

    def visit_For(self, node: ast.For) -> Any:
        """A loop over something that may be traced, or long."""
        stops: list[str] = node.stops  # type: ignore[attr-defined]
        live: Names = node.live  # type: ignore[attr-defined]
        first = located(ast.Assign([node.target], name_of(ITEM)), node.target)
        iterated = self._counted(node.iter)
        body, outputs, updates = self._loop_body([first, *node.body], live, node)
        body.args.args.append(ast.arg(ITEM))
        stop: ast.expr = ast.Constant(None)
        if stops:
            stop = self.visit(delayed(located(any_flag(stops), node)))
        arguments = [iterated, name_of(body.name), stop, outputs, updates]
        call = located(ast.Expr(self._call("for_", arguments, node)), node)
        return [body, call]

    def _loop_body(
        self, statements: list[ast.stmt], live: Names, at: ast.stmt
    ) -> tuple[ast.FunctionDef, ast.expr, ast.expr]:
        bound = frozenset(usage(statements).binds) & live
        updates = updated_only(statements) & bound
        body = self._region("body", statements, bound, at)
        return body, self._names(bound), self._names(updates)

    def _counted(self, node: ast.expr) -> ast.expr:
        """The iterable of a `for`: `enumerate`, `zip` and `reversed` in a form that can be
        counted.
        """
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            return self._visited(node)
        if node.func.id not in _COUNTED or node.func.id in self._own:
            return self._visited(node)
        node.args = [self._counted(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        node.func = self._call("counted", [node.func], node.func)
        return node

    def _visited(self, node: ast.expr) -> ast.expr:
        result: ast.expr = self.visit(node)
        return result

    def _region(
        self, kind: str, statements: list[ast.stmt], shared: Names, at: ast.AST
    ) -> ast.FunctionDef:
        """A function of these statements, which writes the `shared` names of the function around
        it."""
        self._counter[0] += 1
        name = f"__{kind}_{self._counter[0]}__"
        bound = frozenset(usage(statements).binds) - shared
        outer, self._own = self._own, self._own | bound
        body = self._statements(statements)
        self._own = outer
        self._declare(body, bound - frozenset(self._used.global_names | self._used.nonlocal_names))
        self._handed |= shared
        shared_globals = shared & self._used.global_names
        declarations: list[ast.stmt] = []
        if shared - shared_globals:
            declarations.append(ast.Nonlocal(sorted(shared - shared_globals)))
        if shared_globals:
            declarations.append(ast.Global(sorted(shared_globals)))
        return located(function_of(name, [], declarations + body), at)

    def _declare(
        self, body: list[ast.stmt], names: Names, *, after_docstring: bool = False
    ) -> None:
        """Make those of `names` that inner functions write variables of this one."""
        wanted = sorted(names & self._handed)
        self._handed -= names
        start = (
            after_docstring
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        )
        for name in wanted:
            target = ast.Name(name, ast.Store())
            declaration = ast.AnnAssign(
                target=target, annotation=ast.Constant(0), value=None, simple=1
            )
            body.insert(int(start), located(declaration, body[0]))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """An annotation would forbid the name to be written by a branch."""
        if node.value is None or not isinstance(node.target, ast.Name):
            return self.generic_visit(node)
        return self.visit(located(ast.Assign([node.target], node.value), node))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        """An `except` asks whether what it caught happened for sure."""
        self.generic_visit(node)
        if node.name is None:
            if node.type is None:
                node.type = located(name_of("BaseException"), node)
            node.name = ERROR
        check = located(self._call("caught", [name_of(node.name)], node), node)
        node.body.insert(0, located(ast.Expr(check), node))
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        """Stays at the top of its function; branches repeat it."""
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        """An assertion that may be on a traced value."""
        arguments = [self.visit(node.test)]
        if node.msg is not None and can_wait(node.msg):
            arguments.append(delayed(self.visit(node.msg)))
        check = located(ast.Expr(self._call("assert_", arguments, node)), node)
        return located(ast.If(name_of("__debug__"), [check], []), node)

    # Expressions

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A variable that only some paths bind is checked when it is read."""
        if isinstance(node.ctx, ast.Load) and node.id in self._uncertain:
            return self._call("load", [node], node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call: of the converted function, or of one that follows tracers."""
        is_super = isinstance(node.func, ast.Name) and node.func.id == "super"
        if is_super and not node.args and self._first_argument is not None:
            node.args = [name_of("__class__"), name_of(self._first_argument)]
            return located(node, node)
        called = node.func
        if isinstance(called, ast.Attribute):  # a method, not a property
            called.value = self.visit(called.value)
            node.func = name_of("")
        self.generic_visit(node)
        if isinstance(called, ast.Attribute):
            node.func = called
        if not is_super:
            node.func = self._call("callee", [node.func], node.func)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """An attribute that may be a property of the user's."""
        is_of_module = self._world.is_module(node)
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or is_of_module:
            return node
        name = ast.Constant(mangled(node.attr, self._class_name))
        return self._call("attribute", [node.value, name], node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        """`a += b`, where a class of the user's may say what it means."""
        self.generic_visit(node)
        name = _ARITHMETIC.get(type(node.op))
        if name is None or not self._world.has_operators or not isinstance(node.target, ast.Name):
            return node
        arguments: list[ast.expr] = [ast.Constant(name), name_of(node.target.id), node.value]
        value = self._call("in_place", arguments, node)
        return located(ast.Assign([node.target], value), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Arithmetic, where a class of the user's may say what it means."""
        self.generic_visit(node)
        name = _ARITHMETIC.get(type(node.op))
        if name is None or not self._world.has_operators:
            return node
        return self._call("binary", [ast.Constant(name), node.left, node.right], node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """`table[index]`, where a traced index makes the table traced."""
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load) or is_fixed(node.slice):
            return node
        if any(isinstance(part, ast.Starred) for part in getattr(node.slice, "elts", ())):
            return node
        return self._call("getitem", [node.value, index_expression(node.slice)], node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """`and`, `or`."""
        if is_static(node) or not all(can_wait(value) for value in node.values[1:]):
            return self.generic_visit(node)
        simple = all(is_simple(value) for value in node.values[1:])
        values: list[ast.expr] = [self.visit(value) for value in node.values]
        later = [delayed(value) for value in values[1:]]
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        return self._call(name, [ast.Constant(simple), values[0], *later], node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """`not`, and signs."""
        if not isinstance(node.op, ast.Not) or is_static(node):
            self.generic_visit(node)
            name = _SIGNS.get(type(node.op))
            if name is None or not self._world.has_operators or is_static(node.operand):
                return node
            return self._call("unary", [ast.Constant(name), node.operand], node)
        return self._call("not_", [self.visit(node.operand)], node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """`a if test else b`."""
        if is_static(node.test) or not (can_wait(node.body) and can_wait(node.orelse)):
            return self.generic_visit(node)
        test, body, orelse = self.visit(node.test), self.visit(node.body), self.visit(node.orelse)
        return self._call("choose", [test, delayed(body), delayed(orelse)], node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """`a < b < c`."""
        if len(node.ops) == 1 or not all(can_wait(value) for value in node.comparators):
            return self.generic_visit(node)
        simple = all(is_simple(value) for value in node.comparators)
        pairs: list[ast.expr] = []
        for operator, value in zip(node.ops, node.comparators, strict=True):
            pairs += [ast.Constant(_COMPARISONS[type(operator)]), delayed(self.visit(value))]
        return self._call("compare", [ast.Constant(simple), self.visit(node.left), *pairs], node)

    # Pieces

    def _call(self, name: str, arguments: list[ast.expr], at: ast.AST) -> ast.Call:
        function = ast.Attribute(name_of(OPERATORS), name, ast.Load())
        # On the first line alone: Python counts a call of an attribute to the line where the
        # attribute ends.
        first = {"lineno": at.lineno, "col_offset": at.col_offset}  # type: ignore[attr-defined]
        for part in (function, function.value):
            vars(part).update(
                first, end_lineno=first["lineno"], end_col_offset=first["col_offset"] + 1
            )
        return located(ast.Call(function, arguments, []), at)

    def _names(self, names: Names) -> ast.Constant:
        values: Any = tuple(sorted(mangled(name, self._class_name) for name in names))
        return ast.Constant(values)
