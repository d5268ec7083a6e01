"""Cases of shapes, joins, products, indexing and assignment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.numpy.compare import Case
from tests.numpy.core_cases import A34, B34, C34, F34, I34, SQ, SQ2, T234, V4, Z4, normal

V3, W3, T2345 = normal(3), normal(3), normal(2, 3, 4, 5)
PICK = np.array([2, 0, 1, 2])
TABLE = np.array([[0, 2], [1, 1]])


def _shapes() -> list[Case]:
    return [
        Case(
            "reshape",
            lambda xp, x: (xp.reshape(x, (6, 4)), x.reshape(-1), x.reshape(4, 3, 2)),
            (T234,),
        ),
        Case(
            "reshape order",
            lambda xp, x: (xp.reshape(x, (6, 4), order="F"), xp.ravel(x, "F")),
            (T234,),
        ),
        Case("ravel", lambda xp, x: (xp.ravel(x), x.ravel(), x.flatten(), x.flatten("F")), (T234,)),
        Case(
            "transpose",
            lambda xp, x: (xp.transpose(x), x.T, x.transpose(1, 0, 2), xp.transpose(x, (2, 0, 1))),
            (T234,),
        ),
        Case(
            "transpose negative",
            lambda xp, x: (xp.permute_dims(x, (-1, 0, 1)), x.mT, xp.matrix_transpose(x)),
            (T234,),
        ),
        Case("swapaxes", lambda xp, x: (xp.swapaxes(x, 0, -1), x.swapaxes(1, 2)), (T234,)),
        Case(
            "moveaxis",
            lambda xp, x: (
                xp.moveaxis(x, 0, -1),
                xp.moveaxis(x, (0, 1), (-1, 0)),
                xp.rollaxis(x, 2),
            ),
            (T234,),
        ),
        Case(
            "expand_dims", lambda xp, x: (xp.expand_dims(x, 0), xp.expand_dims(x, (1, -1))), (A34,)
        ),
        Case(
            "squeeze",
            lambda xp, x: (
                xp.squeeze(x[None, :, None]),
                xp.squeeze(x[None], 0),
                x[:, None].squeeze(1),
            ),
            (A34,),
        ),
        Case("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, 3, 4)), (V4,)),
        Case("broadcast_arrays", lambda xp, x, y: xp.broadcast_arrays(x, y[:, None]), (V4, V3)),
        Case(
            "atleast",
            lambda xp, x: (
                xp.atleast_1d(x[0]),
                xp.atleast_2d(x),
                xp.atleast_3d(x),
                xp.atleast_3d(x[None]),
            ),
            (V4,),
        ),
        Case(
            "flip",
            lambda xp, x: (
                xp.flip(x),
                xp.flip(x, 1),
                xp.flipud(x),
                xp.fliplr(x),
                xp.flip(x, (0, 2)),
            ),
            (T234,),
        ),
        Case(
            "rot90",
            lambda xp, x: (xp.rot90(x), xp.rot90(x, 2), xp.rot90(x, -1), xp.rot90(x, 4)),
            (A34,),
        ),
        Case("rot90 axes", lambda xp, x: xp.rot90(x, 1, (1, 2)), (T234,)),
        Case(
            "roll",
            lambda xp, x: (
                xp.roll(x, 2),
                xp.roll(x, -1, axis=1),
                xp.roll(x, (1, 2), axis=(0, 1)),
                xp.roll(x, 7),
            ),
            (A34,),
        ),
        Case("resize", lambda xp, x: (xp.resize(x, (5, 3)), xp.resize(x, 3)), (A34,)),
        Case("copy", lambda xp, x: (xp.copy(x), x.copy()), (A34,)),
        Case(
            "facts",
            lambda xp, x: (
                np.int64(xp.ndim(x)),
                np.int64(xp.size(x)),
                np.int64(xp.size(x, 1)),
                np.int64(len(x)),
            ),
            (A34,),
            0,
        ),
        Case(
            "astype",
            lambda xp, x: (x.astype(np.float32), x.astype(complex), x.astype(int)),
            (A34,),
            0,
        ),
        Case("astype keeps", lambda xp, x: x.astype(np.complex128), (A34,)),
        Case(
            "zeros_like",
            lambda xp, x: (xp.zeros_like(x), xp.ones_like(x, dtype=np.int8), xp.full_like(x, 3.5)),
            (A34,),
            0,
        ),
        Case("array of items", lambda xp, x: xp.stack([x[0, 0], x[1, 1] * 2]), (A34,)),
        Case("iteration", lambda xp, x: [row * 2 for row in x], (A34,)),
        Case("linspace", lambda xp, x: xp.linspace(x[0], x[1], 5), (V4,)),
        Case(
            "linspace options",
            lambda xp, x: (xp.linspace(x, 1.0, 4, endpoint=False, axis=1), xp.linspace(0, x, 3)),
            (V4,),
        ),
        Case("logspace", lambda xp, x: xp.logspace(x[0], x[1], 4), (V4,)),
        Case("geomspace", lambda xp, x: xp.geomspace(x[0] ** 2 + 1, 20.0, 5), (V4,)),
    ]


def _joins() -> list[Case]:
    return [
        Case(
            "concatenate",
            lambda xp, x, y: (
                xp.concatenate([x, y]),
                xp.concatenate((x, y), axis=1),
                xp.concatenate([x, y], axis=None),
            ),
            (A34, B34),
        ),
        Case("concatenate mixed", lambda xp, x, f, i: xp.concatenate([x, f, i]), (A34, F34, I34)),
        Case(
            "concatenate dtype", lambda xp, x, i: xp.concat([i, x], dtype=np.float32), (F34, I34), 0
        ),
        Case(
            "concatenate constants",
            lambda xp, x: xp.concatenate([np.ones((1, 4)), x, np.zeros((2, 4))]),
            (A34,),
        ),
        Case(
            "stack",
            lambda xp, x, y: (xp.stack([x, y]), xp.stack([x, y], axis=-1), xp.stack(x, axis=1)),
            (A34, B34),
        ),
        Case(
            "stacks",
            lambda xp, x, y: (xp.vstack([x, y]), xp.hstack([x, y]), xp.dstack([x, y])),
            (A34, B34),
        ),
        Case(
            "stacks of rows",
            lambda xp, x, y: (
                xp.vstack([x, y]),
                xp.hstack([x, y]),
                xp.dstack([x, y]),
                xp.column_stack([x, y]),
            ),
            (V4, V4 * 2),
        ),
        Case("column_stack", lambda xp, x, y: xp.column_stack([x, y]), (V3, A34)),
        Case("block", lambda xp, x, y: xp.block([[x, y], [y, x]]), (A34, B34)),
        Case("block mixed", lambda xp, x, y: xp.block([x[0], 1.0, y[1]]), (A34, B34)),
        Case("append", lambda xp, x, y: (xp.append(x, y), xp.append(x, y, axis=0)), (A34, B34)),
        Case("split", lambda xp, x: xp.split(x, 2, axis=1) + xp.split(x, [1, 2]), (A34,)),
        Case("array_split", lambda xp, x: xp.array_split(x, 3, axis=1), (A34,)),
        Case("hsplit", lambda xp, x: xp.hsplit(x, 2) + xp.vsplit(x, 3), (A34,)),
        Case("dsplit", lambda xp, x: xp.dsplit(x, 2), (T234,)),
        Case("unstack", lambda xp, x: xp.unstack(x, axis=1), (A34,)),
        Case(
            "tile",
            lambda xp, x: (
                xp.tile(x, 2),
                xp.tile(x, (2, 1)),
                xp.tile(x, (2, 1, 3)),
                xp.tile(x[0], (2, 2)),
            ),
            (A34,),
        ),
        Case(
            "repeat",
            lambda xp, x: (xp.repeat(x, 2), xp.repeat(x, 3, axis=1), x.repeat([1, 0, 2], axis=0)),
            (A34,),
        ),
        Case(
            "delete",
            lambda xp, x: (
                xp.delete(x, 1, axis=0),
                xp.delete(x, [0, 2], axis=1),
                xp.delete(x, slice(1, 3)),
            ),
            (A34,),
        ),
        Case(
            "insert",
            lambda xp, x: (
                xp.insert(x, 1, 5.0, axis=0),
                xp.insert(x, [1, 3], [[7.0], [8.0], [9.0]], axis=1),
                xp.insert(x, 2, 1.5),
            ),
            (A34,),
        ),
        Case(
            "insert rows",
            lambda xp, x, y: (xp.insert(x, 1, y, axis=0), xp.insert(x, [0, 2], y, axis=0)),
            (A34, V4),
        ),
    ]


def _products() -> list[Case]:
    return [
        Case(
            "matmul",
            lambda xp, x, y: (x @ y.T, xp.matmul(x, y.T), x @ y[0], y[:, 0] @ x, x[0] @ y[0]),
            (A34, B34),
            2,
        ),
        Case("matmul batched", lambda xp, x, y: (x @ y, y @ x, x[:, None] @ x), (SQ2, SQ)),
        Case("matmul vector batch", lambda xp, x, y: (x @ y, y @ x), (SQ2, V4)),
        Case("matmul constant", lambda xp, x: (np.ones((2, 3)) @ x, x @ np.ones(4)), (A34,)),
        Case("matmul of ints", lambda xp, i: (i @ i.T, i[0] @ i[1]), (I34,), 0),
        Case("matmul mixed", lambda xp, x, i: x @ i.T, (A34, I34)),
        Case("matmul complex", lambda xp, z, x: z @ x.T, (C34, A34)),
        Case(
            "dot",
            lambda xp, x, y: (xp.dot(x, y.T), x.dot(y[0]), xp.dot(x[0], y[0]), xp.dot(x, 2.0)),
            (A34, B34),
        ),
        Case("dot of many axes", lambda xp, x, y: xp.dot(x, y), (T234, normal(2, 4, 3))),
        Case("vdot", lambda xp, x, y: xp.vdot(x, y), (A34, B34)),
        Case("vdot complex", lambda xp, z, x: xp.vdot(z, x), (C34, A34)),
        Case("vecdot", lambda xp, z, y: (xp.vecdot(z, y), xp.linalg.vecdot(z, y)), (C34, Z4)),
        Case("vecdot axis", lambda xp, x, y: xp.linalg.vecdot(x, y, axis=0), (A34, B34)),
        Case("matvec", lambda xp, x, y: (xp.matvec(x, y), xp.vecmat(y, x.mT)), (T234, V4)),
        Case(
            "inner",
            lambda xp, x, y: (xp.inner(x, y), xp.inner(x[0], y[0]), xp.inner(2.0, y)),
            (A34, B34),
        ),
        Case("outer", lambda xp, x, y: (xp.outer(x, y), xp.linalg.outer(x[0], y[0])), (A34, B34)),
        Case(
            "tensordot",
            lambda xp, x, y: (
                xp.tensordot(x, y, 2),
                xp.tensordot(x, y, ((0,), (0,))),
                xp.tensordot(x, y, 0),
            ),
            (A34, B34),
        ),
        Case(
            "tensordot axes",
            lambda xp, x, y: xp.tensordot(x, y, axes=([1, 0], [0, 2])),
            (T234, normal(3, 5, 2)),
        ),
        Case(
            "einsum",
            lambda xp, x, y: (
                xp.einsum("ij,kj->ik", x, y),
                xp.einsum("ij,ij", x, y),
                xp.einsum("ij->ji", x),
            ),
            (A34, B34),
            2,
        ),
        Case(
            "einsum diagonal",
            lambda xp, x: (xp.einsum("ii->i", x), xp.einsum("ii", x), xp.einsum("ij->", x)),
            (SQ,),
        ),
        Case(
            "einsum elementwise",
            lambda xp, x, y: (xp.einsum("ij,j->ij", x, y), xp.einsum("ij,j->ji", x, y)),
            (A34, V4),
        ),
        Case(
            "einsum ellipsis",
            lambda xp, x, y: (
                xp.einsum("...ij,jk->...ik", x, y),
                xp.einsum("...i,...i", x, x),
                xp.einsum("i...->...", x),
            ),
            (T234, normal(4, 2)),
        ),
        Case(
            "einsum of three", lambda xp, x, y, v: xp.einsum("ij,kj,k->i", x, y, v), (A34, B34, V3)
        ),
        Case(
            "einsum of four",
            lambda xp, x, y: xp.einsum("ab,cb,cd,ad->", x, y, y, x, optimize=True),
            (A34, B34),
        ),
        Case(
            "einsum sublists",
            lambda xp, x, y: (
                xp.einsum(x, [0, 1], y, [2, 1], [0, 2]),
                xp.einsum(x, [0, 1], y, [2, 1]),
            ),
            (A34, B34),
        ),
        Case("einsum of length 1", lambda xp, x, y: xp.einsum("ij,ij->ij", x, y[:1]), (A34, B34)),
        Case("einsum batch", lambda xp, x, y: xp.einsum("bij,bjk->bki", x, y), (SQ2, SQ2 + 1)),
        Case("einsum of ints", lambda xp, i: xp.einsum("ij,kj->ik", i, i), (I34,), 0),
        Case(
            "kron", lambda xp, x, y: (xp.kron(x, y), xp.kron(x[0], y), xp.kron(x, y[0])), (A34, B34)
        ),
        Case(
            "cross",
            lambda xp, x, y: (xp.cross(x, y), xp.linalg.cross(x, y)),
            (normal(4, 3), normal(4, 3)),
        ),
        Case(
            "cross broadcast",
            lambda xp, x, y: (xp.cross(x, y), xp.cross(y, x, axisc=0)),
            (normal(4, 3), V3),
        ),
        Case("cross axis", lambda xp, x, y: xp.cross(x, y, axis=0), (A34, B34)),
        Case("trace", lambda xp, x: (xp.trace(x), x.trace(1), xp.linalg.trace(x)), (SQ,)),
        Case(
            "diag",
            lambda xp, x: (
                xp.diag(x),
                xp.diag(x, 1),
                xp.diag(x, -1),
                xp.diag(x[0]),
                xp.diag(x[0], -2),
            ),
            (A34,),
        ),
        Case(
            "diagonal",
            lambda xp, x: (
                xp.diagonal(x),
                x.diagonal(1, 1, 2),
                xp.diagonal(x, -1, 2, 0),
                xp.linalg.diagonal(x),
            ),
            (T234,),
        ),
        Case("diagonal outside", lambda xp, x: xp.diagonal(x, 7), (A34,), 0),
        Case("diagflat", lambda xp, x: xp.diagflat(x, 1), (A34,)),
        Case(
            "triangles",
            lambda xp, x: (xp.tril(x), xp.triu(x), xp.tril(x, 1), xp.triu(x, -1)),
            (T234,),
        ),
        Case("triangles of a row", lambda xp, x: (xp.tril(x), xp.triu(x)), (V4,)),
        Case("vander", lambda xp, x: (xp.vander(x), xp.vander(x, 3, increasing=True)), (V4,)),
        Case(
            "norm",
            lambda xp, x: (
                xp.linalg.norm(x),
                xp.linalg.norm(x[0]),
                xp.linalg.norm(x, axis=1, keepdims=True),
            ),
            (A34,),
            2,
        ),
        Case(
            "norm orders",
            lambda xp, x: [xp.linalg.norm(x, o) for o in (1, 2, 3, 0.5, np.inf, -np.inf, 0, -1)],
            (V4,),
        ),
        Case(
            "norm of matrices",
            lambda xp, x: [xp.linalg.norm(x, o) for o in ("fro", 1, -1, np.inf, -np.inf)],
            (A34,),
        ),
        Case(
            "norm axes",
            lambda xp, x: (
                xp.linalg.norm(x, 1, axis=(0, 2)),
                xp.linalg.norm(x, axis=(1, 2), keepdims=True),
            ),
            (T234,),
        ),
        Case(
            "norm of complex",
            lambda xp, z: (xp.linalg.norm(z), xp.linalg.norm(z, 1, axis=0)),
            (C34,),
        ),
        Case("norm of ints", lambda xp, i: xp.linalg.norm(i), (I34,), 0),
        Case(
            "vector_norm",
            lambda xp, x: (
                xp.linalg.vector_norm(x),
                xp.linalg.vector_norm(x, axis=0, ord=1),
                xp.linalg.matrix_norm(x),
            ),
            (A34,),
        ),
        Case("multi_dot", lambda xp, x, y: xp.linalg.multi_dot([x, y.T, x, y[0]]), (A34, B34)),
    ]


INDICES: dict[str, Callable[[Any], Any]] = {
    "int": lambda x: x[1],
    "negative int": lambda x: x[-1],
    "ints": lambda x: x[1, 2, 3, 4],
    "some ints": lambda x: x[0, :, -1],
    "slices": lambda x: x[:, 1:, ::2, 3:0:-1],
    "empty slice": lambda x: x[:, 2:1],
    "slice past the end": lambda x: x[0:9, -9:2],
    "negative step": lambda x: x[::-1, ::-2],
    "step of one element": lambda x: x[0:1:5, ::7],
    "ellipsis": lambda x: x[..., 1],
    "ellipsis between": lambda x: x[0, ..., 1:3],
    "ellipsis alone": lambda x: x[...],
    "newaxis": lambda x: x[None, :, None, 0],
    "newaxis last": lambda x: x[..., None],
    "array": lambda x: x[np.array([1, 0, 1])],
    "list": lambda x: x[[0, -1]],
    "empty list": lambda x: x[[]],
    "table": lambda x: x[:, TABLE],
    "two arrays": lambda x: x[np.array([0, 1]), np.array([2, 0])],
    "two arrays broadcast": lambda x: x[np.array([[0], [1]]), PICK],
    "arrays apart": lambda x: x[np.array([0, 1]), :, np.array([2, 3])],
    "arrays apart by ellipsis": lambda x: x[np.array([0, 1]), ..., np.array([2, 3])],
    "array and int": lambda x: x[0, PICK],
    "array, slice and int": lambda x: x[0, :, np.array([1, 2])],
    "int after array": lambda x: x[:, np.array([1, 2]), 0],
    "array after slice": lambda x: x[:, 1:, np.array([3, 0])],
    "array and newaxis": lambda x: x[:, None, PICK[:3]],
    "newaxis between arrays": lambda x: x[np.array([0, 1]), None, np.array([1, 2])],
    "slices and arrays": lambda x: x[::-1, np.array([2, 1]), ::2, 4:1:-1],
    "0-d array": lambda x: x[np.array(1), :, [1, 2]],
    "mask": lambda x: x[np.abs(T2345) < 0.5],
    "mask of first axes": lambda x: x[np.array([[True, False, True], [False, True, False]])],
    "mask of an axis": lambda x: x[:, np.array([True, False, True])],
    "mask and array": lambda x: x[np.array([True, True]), np.array([0, 2])],
    "mask and slice": lambda x: x[:, :, np.array([True, False, True, True]), 1:3],
    "true": lambda x: x[True],
    "false": lambda x: x[False],
    "true inside": lambda x: x[:, True, 1],
    "ix_": lambda x: x[np.ix_([0, 1], [0, 2])],
    "numpy int": lambda x: x[np.int64(1), np.uint8(2)],
    "chained": lambda x: x[1][2][:, 0],
    "tuple as array": lambda x: x[([0, 1],)],
}

VALUES = {"a number": 2.5, "an array": None}


def _written(index: Callable[[Any], Any], value: Any) -> Callable[..., Any]:
    """Assign to what the index names: the index is found by applying it to a recorder."""

    class Recorder:
        def __getitem__(self, key: Any) -> Any:
            self.key = key
            return self

    recorder = Recorder()
    index(recorder)

    def write(xp: Any, x: Any, y: Any) -> Any:
        x = x * 1.0
        if value is None:
            x[recorder.key] = y * np.ones_like(T2345[recorder.key])
        else:
            x[recorder.key] = value
        x[recorder.key] *= 2.0
        return x

    return write


def _indexing() -> list[Case]:
    cases = [
        Case(
            f"read {name}",
            lambda xp, x, index=index: index(x),
            (T2345,),
            0 if "empty" in name or name == "false" else 1,
        )
        for name, index in INDICES.items()
    ]
    for label, value in VALUES.items():
        cases += [
            Case(f"write {label} to {name}", _written(index, value), (T2345, np.float64(1.5)))
            for name, index in INDICES.items()
            if name != "chained"
        ]
    return cases


def _traced_places() -> list[Case]:
    return [
        Case(
            "traced index",
            lambda xp, x, k: (x[k], x[k[0]], x[:, k[1]], x[k[0], k[1]], x[k, 1:], x[..., k]),
            (SQ, PICK),
        ),
        Case(
            "traced index two",
            lambda xp, x, k: (x[k, k], x[k[:, None], k], x[1, k], x[k[0], :, None], x[-k - 1]),
            (SQ, PICK),
        ),
        Case("traced write", _assign(lambda x, k, v: x.__setitem__(k, v)), (SQ, PICK, SQ + 1)),
        Case(
            "traced write of one",
            _assign(lambda x, k, v: x.__setitem__(k[0], v[0])),
            (SQ, PICK, SQ + 1),
        ),
        Case(
            "traced write of an element",
            _assign(lambda x, k, v: x.__setitem__((k[0], k[1]), v[0, 0])),
            (SQ, PICK, SQ + 1),
        ),
        Case(
            "traced write of columns",
            _assign(lambda x, k, v: x.__setitem__((slice(None), k[:2]), v[:, :2])),
            (SQ, PICK, SQ + 1),
        ),
        Case(
            "traced mask write", _assign(lambda x, k, v: x.__setitem__(x > 0, 0.5)), (SQ, PICK, SQ)
        ),
        Case(
            "traced mask of rows",
            _assign(lambda x, k, v: x.__setitem__(k > 1, v[0])),
            (SQ, PICK, SQ),
        ),
        Case("traced mask read", lambda xp, x: (x[x > 0], x[x[:, 0] > 0]), (SQ,), 1, False),
        Case(
            "traced mask write of many",
            _assign(lambda x, k, v: x.__setitem__(x > 0, v[x > 0])),
            (SQ, PICK, SQ),
            1,
            False,
        ),
        Case("augmented", _augmented, (SQ, V4)),
        Case("augmented of ints", _augmented_ints, (I34,), 0),
        Case("loop of writes", _loop, (V4,), 2),
        Case(
            "duplicates",
            _assign(lambda x, k, v: x.__setitem__([0, 0, 1], v[:3])),
            (SQ, PICK, SQ + 1),
        ),
        Case("cast in a write", _cast_write, (I34, A34), 0),
        Case(
            "write of a row of a row",
            _assign(lambda x, k, v: x.__setitem__(0, v[:1])),
            (SQ, PICK, SQ + 1),
        ),
        Case("ufunc at", _ufunc_at, (V4, V4 + 3.0)),
        Case("fill_diagonal", _fill_diagonal, (SQ, V4)),
        Case("fill", _fill, (SQ, V4)),
    ]


def _assign(write: Callable[..., Any]) -> Callable[..., Any]:
    def function(xp: Any, x: Any, k: Any, v: Any) -> Any:
        x = x * 2.0
        write(x, k, v)
        return x

    return function


def _augmented(xp: Any, x: Any, y: Any) -> Any:
    x = x * 1.0
    alias = x
    x += y
    x -= 1
    x *= y
    x /= 2.0
    x[1] += y
    x[:, 2] *= 3.0
    x[[0, 2]] -= y
    x **= 2
    return x, alias


def _augmented_ints(xp: Any, i: Any) -> Any:
    i = i + 0
    i += 2
    i //= 2
    i %= 5
    i <<= 1
    i |= 1
    i &= 7
    i ^= 2
    i >>= 1
    return i


def _loop(xp: Any, v: Any) -> Any:
    out = xp.zeros_like(v)
    total = 0.0
    for k in range(len(v)):
        total = total + v[k] ** 2
        out[k] = total
    return out


def _cast_write(xp: Any, i: Any, x: Any) -> Any:
    i = i + 0
    i[0] = x[0] * 10
    i[1, 1] = 2.9
    return i


def _ufunc_at(xp: Any, v: Any, w: Any) -> Any:
    v = v * 1.0
    np.add.at(v, [0, 0, 1], w[:3])
    np.multiply.at(v, [2, 3], w[:2])
    np.maximum.at(v, [1], 0.25)
    np.negative.at(v, [3])
    np.subtract.at(v, [3, 3], 1.0)
    return v


def _fill_diagonal(xp: Any, x: Any, v: Any) -> Any:
    x = x * 1.0
    xp.fill_diagonal(x, v)
    return x


def _fill(xp: Any, x: Any, v: Any) -> Any:
    x = x * 1.0
    x.fill(v[0])
    return x


CASES = [*_shapes(), *_joins(), *_products(), *_indexing(), *_traced_places()]
