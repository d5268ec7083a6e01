"""Index arithmetic, and the merging of loops."""

from __future__ import annotations

from codegen.loops.build import index, integer, loop, operation
from codegen.loops.linear import constant_trip, flat_index, linear_form, merge_loops
from codegen.loops.nodes import Load, Loop, Store
from tests.codegen.programs import INT, buffer, cast, i, j, k, real


def test_linear_forms_collect_terms() -> None:
    twice = operation("multiply", integer(2), operation("add", i, integer(3)))
    form = linear_form(operation("subtract", twice, operation("add", i, j)), {})
    assert (form.constant, form.terms) == (6, {i: 1, j: -1})
    form = linear_form(operation("subtract", operation("add", i, j), i), {})
    assert (form.constant, form.terms) == (0, {j: 1})
    form = linear_form(operation("negative", operation("add", i, integer(1))), {"i": integer(4)})
    assert (form.constant, form.terms) == (-5, {})


def test_other_expressions_are_terms_of_their_own() -> None:
    table = buffer("table", (4,), "input", INT)
    looked_up = Load(table, (i,))
    product = operation("multiply", i, j)
    form = linear_form(operation("add", looked_up, operation("add", product, integer(1))), {})
    assert (form.constant, form.terms) == (1, {looked_up: 1, product: 1})


def test_flat_index_uses_c_order() -> None:
    x = buffer("x", (2, 3, 5), "input")
    form = flat_index(x, (i, integer(2), j), {})
    assert (form.constant, form.terms) == (10, {i: 15, j: 1})
    form = flat_index(x, (i,), {})
    assert form.terms == {i: 15}, "the start of a part with leading indices fixed"


def test_constant_trip() -> None:
    assert constant_trip(loop("i", 7)) == 7
    assert constant_trip(Loop("i", integer(1), integer(7), ())) == 6
    assert constant_trip(Loop("i", integer(7), integer(1), ())) == 0
    assert constant_trip(Loop("i", integer(0), index("n"), ())) is None


def test_merging_stops_where_an_index_is_a_value() -> None:
    y = buffer("y", (3, 4), "output")
    nest = loop("i", 3, loop("j", 4, Store(y, (i, j), cast(j, y.dtype))))
    assert merge_loops(nest) == (nest, {})


def test_merging_stops_at_loops_of_another_kind_and_in_reverse() -> None:
    y = buffer("y", (3, 4), "output")
    store = Store(y, (i, j), real(1.0))
    mixed = loop("i", 3, loop("j", 4, store), kind="serial")
    assert merge_loops(mixed) == (mixed, {})
    backward = Loop(
        "i",
        integer(0),
        integer(3),
        (Loop("j", integer(0), integer(4), (store,), reverse=True),),
    )
    assert merge_loops(backward) == (backward, {})


def test_merging_needs_loops_from_zero() -> None:
    y = buffer("y", (3, 4), "output")
    store = Store(y, (i, j), real(1.0))
    part = loop("i", 3, Loop("j", integer(1), integer(4), (store,)))
    assert merge_loops(part) == (part, {})


def test_merged_outer_index_becomes_zero() -> None:
    y = buffer("y", (3, 4, 5), "output")
    store = Store(y, (i, j, k), real(1.0))
    merged, zeros = merge_loops(loop("i", 3, loop("j", 4, loop("k", 5, store))))
    assert merged == loop("k", 60, store)
    assert zeros == {"i": integer(0), "j": integer(0)}


def test_a_transposed_access_keeps_its_loops() -> None:
    x, y = buffer("x", (4, 3), "input"), buffer("y", (3, 4), "output")
    nest = loop("i", 3, loop("j", 4, Store(y, (i, j), Load(x, (j, i)))))
    assert merge_loops(nest) == (nest, {})
