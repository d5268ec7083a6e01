"""Functions of networks against plain loops and formulas, with derivatives, and under jit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.special as special

import tracer
from tests.helpers import COMPILED
from tracer import nn, random
from tracer.errors import DTypeError, ShapeError

RNG = np.random.default_rng(0)
V = np.array([-7.0, -3.5, -3.0, -1.0, -0.3, 0.0, 0.2, 1.0, 2.5, 3.0, 6.0, 9.0])

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "celu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "selu": lambda x: (
        1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(np.minimum(x, 0)) - 1))
    ),
    "gelu": lambda x: x * special.ndtr(x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "log_sigmoid": lambda x: -np.log(1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
}
KINKS = (-3.0, -1.0, 0.0, 1.0, 3.0, 6.0)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations(name):
    function, formula = getattr(nn, name), ACTIVATIONS[name]
    np.testing.assert_allclose(function(V), formula(V), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(tracer.jit(function)(V), formula(V), rtol=1e-13, atol=1e-15)
    assert function(V.astype(np.float32)).dtype == np.float32
    smooth = V[~np.isin(V, KINKS)]
    slope = tracer.grad(lambda x: function(x).sum())(smooth)
    quotient = (formula(smooth + 1e-6) - formula(smooth - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope, quotient, rtol=1e-7, atol=1e-8)


def test_slopes_at_kinks():
    slope = tracer.elementwise_grad
    assert slope(nn.relu)(0.0) == 0
    assert slope(nn.relu6)(6.0) == slope(nn.relu6)(0.0) == 0
    assert slope(nn.hard_tanh)(1.0) == slope(nn.hard_tanh)(-1.0) == 0
    assert slope(nn.leaky_relu)(0.0) == 0.01
    assert slope(nn.elu)(0.0) == 1
    assert np.isnan(nn.relu(np.nan))


def test_activations_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        far = np.array([-1e4, 1e4])
        for name in ("elu", "selu", "celu", "silu", "sigmoid", "log_sigmoid", "softplus", "gelu"):
            assert np.isfinite(getattr(nn, name)(far)).all(), name
            slope = tracer.grad(lambda x, name=name: getattr(nn, name)(x).sum())(far)
            assert np.isfinite(slope).all(), name


def test_softmax_family_and_losses():
    x = RNG.normal(size=(4, 5))
    labels = np.array([0, 4, 2, 2])
    np.testing.assert_allclose(nn.softmax(x), special.softmax(x, axis=-1))
    np.testing.assert_allclose(nn.log_softmax(x, axis=0), special.log_softmax(x, axis=0))
    np.testing.assert_allclose(nn.logsumexp(x, axis=1), special.logsumexp(x, axis=1))
    expected = -special.log_softmax(x, axis=1)[np.arange(4), labels]
    np.testing.assert_allclose(nn.cross_entropy(x, labels), expected)
    slope = tracer.jit(tracer.grad(lambda x: nn.cross_entropy(x, labels).sum()))(x)
    np.testing.assert_allclose(slope, special.softmax(x, axis=1) - np.eye(5)[labels], atol=1e-15)
    np.testing.assert_array_equal(nn.one_hot(labels, 5), np.eye(5)[labels])
    assert not nn.one_hot(np.array([7, -1]), 5).any()
    np.testing.assert_allclose(nn.glu(x[:, :4]), x[:, :2] * special.expit(x[:, 2:4]))


def plain_conv(x, kernel, stride, padding, dilation, groups):
    """The definition, one entry of the result at a time."""
    rank = kernel.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *[(padding, padding)] * rank])
    inner, out = kernel.shape[1], kernel.shape[0]
    space = [
        (n - dilation * (k - 1) - 1) // stride + 1
        for n, k in zip(x.shape[2:], kernel.shape[2:], strict=True)
    ]
    result = np.zeros((x.shape[0], out, *space))
    for o in range(out):
        first = o // (out // groups) * inner
        for place in np.ndindex(*space):
            part = x[:, first : first + inner][
                (slice(None), slice(None), *(
                    slice(p * stride, p * stride + dilation * (k - 1) + 1, dilation)
                    for p, k in zip(place, kernel.shape[2:], strict=True)
                ))
            ]  # fmt: skip
            result[(slice(None), o, *place)] = (part * kernel[o]).reshape(len(x), -1).sum(1)
    return result


CONVOLUTIONS = [
    pytest.param(rank, stride, padding, dilation, groups, id=f"{rank}d-{stride}{padding}{dilation}")
    for rank, (stride, padding, dilation, groups) in itertools.product(
        (1, 2, 3), [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (1, 1, 1, 2)]
    )
]  # fmt: skip


@pytest.mark.parametrize(("rank", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_convolution(rank, stride, padding, dilation, groups):
    x = RNG.normal(size=(2, 4, *(7, 6, 5)[:rank]))
    kernel = RNG.normal(size=(6, 4 // groups, *(3, 2, 2)[:rank]))

    def apply(x, kernel):
        return nn.conv(x, kernel, stride, padding, dilation, groups)

    expected = plain_conv(x, kernel, stride, padding, dilation, groups)
    np.testing.assert_allclose(apply(x, kernel), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(tracer.jit(apply)(x, kernel), expected, rtol=1e-12, atol=1e-13)
    # It is linear in each operand, so that the pairing with any cotangent is exact.
    cotangent = RNG.normal(size=expected.shape)
    pull = tracer.vjp(apply, x, kernel)[1]
    by_x, by_kernel = pull(cotangent)
    pairing = (cotangent * expected).sum()
    np.testing.assert_allclose((by_x * x).sum(), pairing, rtol=1e-10)
    np.testing.assert_allclose((by_kernel * kernel).sum(), pairing, rtol=1e-10)


@pytest.mark.parametrize("backend", COMPILED)
def test_the_gradient_of_a_convolution_compiles(backend):
    x, kernel = RNG.normal(size=(2, 3, 6, 6)), RNG.normal(size=(4, 3, 3, 3))

    def loss(x, kernel, bias):
        return (nn.max_pool(nn.relu(nn.conv(x, kernel, padding="same", bias=bias)), 2) ** 2).sum()

    args = (x, kernel, np.linspace(-1, 1, 4))
    slope = tracer.grad(loss, argnums=(0, 1, 2))
    for got, expected in zip(tracer.jit(slope, backend=backend)(*args), slope(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)
    tracer.check_grads(loss, args, order=1)


def test_same_padding_keeps_the_shape():
    x = RNG.normal(size=(1, 1, 7, 8))
    assert nn.conv(x, np.ones((1, 1, 4, 3)), padding="same").shape == (1, 1, 7, 8)
    assert nn.conv(x, np.ones((1, 1, 4, 3)), stride=2, padding="same").shape == (1, 1, 4, 4)
    assert nn.conv(x, np.ones((1, 1, 2, 2)), padding=[(1, 0), (0, 0)]).shape == (1, 1, 7, 7)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_transposed_convolution_is_the_adjoint(stride, padding):
    kernel = RNG.normal(size=(3, 2, 3, 2))
    small = RNG.normal(size=(2, 3, 4, 5))
    large = nn.conv_transpose(small, kernel, stride, padding)
    extents = [(n - 1) * stride + k - 2 * padding for n, k in zip((4, 5), (3, 2), strict=True)]
    assert large.shape == (2, 2, *extents)
    x = RNG.normal(size=large.shape)
    np.testing.assert_allclose(
        (nn.conv(x, kernel, stride, padding) * small).sum(), (x * large).sum(), rtol=1e-10
    )


def test_pooling():
    x = RNG.normal(size=(2, 3, 6, 8))
    blocks = x.reshape(2, 3, 3, 2, 4, 2)
    np.testing.assert_array_equal(nn.max_pool(x, 2), blocks.max(axis=(3, 5)))
    np.testing.assert_allclose(nn.average_pool(x, 2), blocks.mean(axis=(3, 5)))
    ones = np.ones((1, 1, 4, 4))
    np.testing.assert_allclose(nn.average_pool(ones, 3, 2, 1, count_padding=False), 1)
    assert nn.average_pool(ones, 3, 2, 1)[0, 0, 0, 0] == pytest.approx(4 / 9)
    assert nn.max_pool(-ones, 3, 2, 1).max() == -1
    slope = tracer.grad(lambda x: nn.max_pool(x, 2).sum())(x)
    np.testing.assert_array_equal(
        slope != 0, x == np.repeat(np.repeat(nn.max_pool(x, 2), 2, 2), 2, 3)
    )
    assert nn.max_pool(x[:, :, 0], 2).shape == (2, 3, 4)
    assert nn.average_pool(np.ones((1, 1, 4, 4, 4)), 2).shape == (1, 1, 2, 2, 2)


def test_normalisation():
    x = RNG.normal(size=(4, 6, 5))
    out = nn.layer_norm(x, np.full(5, 2.0), np.ones(5))
    np.testing.assert_allclose(out.mean(-1), 1, atol=1e-12)
    np.testing.assert_allclose(out.std(-1), 2, rtol=1e-3)
    np.testing.assert_allclose(nn.rms_norm(x, epsilon=0.0) ** 2 @ np.ones(5), 5)
    grouped = nn.group_norm(x, 3, np.ones(6), np.zeros(6)).reshape(4, 3, 10)
    np.testing.assert_allclose(grouped.mean(-1), 0, atol=1e-12)
    whole = nn.batch_norm(x, *nn.batch_statistics(x), np.ones(6), np.full(6, 0.5))
    np.testing.assert_allclose(whole.mean(axis=(0, 2)), 0.5, atol=1e-12)
    tracer.check_grads(lambda x: nn.layer_norm(x).sum(axis=0), (x[0],), order=2)


def test_attention():
    q, k, v = (RNG.normal(size=(2, n, 4)) for n in (3, 5, 5))
    weights = special.softmax(q @ k.swapaxes(-1, -2) / 2, axis=-1)
    np.testing.assert_allclose(nn.attention(q, k, v), weights @ v)
    mask = np.array([True, False, True, True, False])
    seen = special.softmax((q @ k.swapaxes(-1, -2) / 2)[..., mask], axis=-1)
    np.testing.assert_allclose(nn.attention(q, k, v, mask=mask), seen @ v[:, mask])
    causal = nn.attention(q, k, v, causal=True)
    np.testing.assert_allclose(causal[:, 0], nn.attention(q[:, :1], k[:, :3], v[:, :3])[:, 0])
    assert not nn.attention(q, k, v, mask=np.zeros((3, 5), bool)).any()
    slope = tracer.grad(lambda q: nn.attention(q, k, v, mask=np.zeros((3, 5), bool)).sum())(q)
    assert not slope.any()
    heads = nn.multi_head_attention(q, k, v, 2)
    first = nn.attention(q[..., :2], k[..., :2], v[..., :2])
    np.testing.assert_allclose(heads[..., :2], first)
    tracer.check_grads(nn.attention, (q, k, v), order=1)


def test_dropout_and_embedding():
    key = random.key(0)
    x = np.ones(20_000, np.float32)
    out = nn.dropout(key, x, 0.25)
    assert out.dtype == np.float32
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((out == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(nn.dropout(key, x, 0.25, training=False), x)
    slope = tracer.grad(lambda x: nn.dropout(key, x, 0.25).sum())(x)
    np.testing.assert_array_equal(slope, out)
    table, ids = RNG.normal(size=(5, 3)), np.array([[0, 4], [4, 2]])
    np.testing.assert_array_equal(nn.embedding(table, ids), table[ids])
    counts = tracer.grad(lambda table: nn.embedding(table, ids).sum())(table)
    np.testing.assert_array_equal(counts[:, 0], [1, 0, 1, 0, 2])
    with pytest.raises(IndexError):
        tracer.jit(nn.embedding)(table, np.array([5]))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: nn.conv(np.ones((1, 2, 5)), np.ones((3, 3, 2))), ShapeError, "2 channels"),
        (lambda: nn.conv(np.ones((2, 5)), np.ones((3, 2, 2))), ShapeError, "conv takes x"),
        (lambda: nn.conv(np.ones((1, 1, 2)), np.ones((1, 1, 3))), ShapeError, "does not fit"),
        (lambda: nn.conv(np.ones((1, 1, 5)), np.ones((1, 1, 3)), 0), ShapeError, "stride"),
        (lambda: nn.conv(*[np.ones((1, 1, 3))] * 2, padding="full"), ShapeError, "same"),
        (lambda: nn.conv_transpose(np.ones((1, 2, 5)), np.ones((3, 3, 2))), ShapeError, "takes x"),
        (lambda: nn.max_pool(np.ones(5), 2), ShapeError, "pooling takes"),
        (lambda: nn.group_norm(np.ones((1, 5, 2)), 2), ShapeError, "do not divide"),
        (lambda: nn.multi_head_attention(*[np.ones((2, 5))] * 3, 2), ShapeError, "heads"),
        (lambda: nn.dropout(random.key(0), np.ones(3), 1.0), ValueError, "a rate"),
        (lambda: nn.one_hot(np.ones(3), 2), DTypeError, "takes integers"),
        (lambda: nn.embedding(np.ones((3, 2)), np.ones(2)), DTypeError, "integer ids"),
        (lambda: nn.cross_entropy(np.ones((3, 2)), np.ones(3)), DTypeError, "integer labels"),
    ],
)  # fmt: skip
def test_bad_input(call, error, said):
    with pytest.raises(error, match=said):
        call()
