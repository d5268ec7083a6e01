"""The main job: train a 64-128-10 network with Adam on real handwritten digits.

The training step is one jitted function: loss, gradient and Adam's update together. What the table
then times is the gradient of the loss for one batch.
"""

import time
from types import ModuleType
from typing import Any

import numpy as np

import tracer
from bench.context import Context
from bench.subjects import TracerSubject
from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient
from bench.workloads.digits_data import CLASSES, PIXELS, batch, load_digits, one_hot

HIDDEN = 128
EPOCHS = 25
BATCH_ROWS = 64
LEARNING_RATE = 2e-3
MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8
TRAINING_SEED = 1
ASKED_ACCURACY = 0.97

Arrays = tuple[Any, ...]


def network(weights1: Any, bias1: Any, weights2: Any, bias2: Any, images: Any) -> Any:
    """Logits of the ten digits, one row an image."""
    return np.tanh(images @ weights1 + bias1) @ weights2 + bias2


def build(size: Size) -> Function:
    def loss(
        weights1: Any, bias1: Any, weights2: Any, bias2: Any, images: Any, labels: Any
    ) -> Any:  # fmt: skip
        logits = network(weights1, bias1, weights2, bias2, images)
        largest = np.max(logits, axis=1, keepdims=True)
        normalizer = largest[:, 0] + np.log(np.sum(np.exp(logits - largest), axis=1))
        return np.mean(normalizer - np.sum(labels * logits, axis=1))

    return loss


def torch_build(torch: ModuleType, size: Size) -> Function:
    def loss(
        weights1: Any, bias1: Any, weights2: Any, bias2: Any, images: Any, labels: Any
    ) -> Any:  # fmt: skip
        logits = torch.tanh(images @ weights1 + bias1) @ weights2 + bias2
        return torch.mean(torch.logsumexp(logits, 1) - torch.sum(labels * logits, 1))

    return loss


def initial_parameters(rng: np.random.Generator) -> Arrays:
    """Glorot's uniform weights and zero biases."""
    bound1 = np.sqrt(6.0 / (PIXELS + HIDDEN))
    bound2 = np.sqrt(6.0 / (HIDDEN + CLASSES))
    return (
        rng.uniform(-bound1, bound1, (PIXELS, HIDDEN)),
        np.zeros(HIDDEN),
        rng.uniform(-bound2, bound2, (HIDDEN, CLASSES)),
        np.zeros(CLASSES),
    )


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return (*initial_parameters(rng), *batch(size["rows"]))


def adam_step(
    parameters: Arrays, means: Arrays, squares: Arrays, step: Any, images: Any, labels: Any
) -> tuple[Any, Arrays, Arrays, Arrays]:
    """Loss, and the next parameters and moments (D. Kingma, J. Ba, "Adam", ICLR 2015)."""
    loss = build({})
    value, gradients = tracer.value_and_grad(loss, argnums=(0, 1, 2, 3))(
        *parameters, images, labels
    )  # fmt: skip
    new_means = tuple(
        MEAN_DECAY * mean + (1.0 - MEAN_DECAY) * slope
        for mean, slope in zip(means, gradients, strict=True)
    )
    new_squares = tuple(
        SQUARE_DECAY * square + (1.0 - SQUARE_DECAY) * slope * slope
        for square, slope in zip(squares, gradients, strict=True)
    )
    mean_scale = 1.0 / (1.0 - MEAN_DECAY**step)
    square_scale = 1.0 / (1.0 - SQUARE_DECAY**step)
    new_parameters = tuple(
        parameter - LEARNING_RATE * mean_scale * mean / (np.sqrt(square_scale * square) + EPSILON)
        for parameter, mean, square in zip(parameters, new_means, new_squares, strict=True)
    )
    return value, new_parameters, new_means, new_squares


def accuracy(parameters: Arrays, images: Any, labels: Any) -> float:
    """The share of images whose largest logit is the right one."""
    weights1, bias1, weights2, bias2 = parameters
    found = np.argmax(network(weights1, bias1, weights2, bias2, images), axis=1)
    return float(np.mean(found == labels))


def training_backend(context: Context) -> str:
    """The fastest of the backends that the run has: the last one that compiles."""
    backends = [item.backend for item in context.subjects if isinstance(item, TracerSubject)]
    return [backend for backend in backends if backend != "eager"][-1]


def train(context: Context) -> None:
    """Train, saying how it goes; a test accuracy below 97 % is a failure of the run."""
    digits, backend = load_digits(), training_backend(context)
    step_function = tracer.jit(adam_step, backend=backend)
    rng = np.random.default_rng(TRAINING_SEED)
    parameters = initial_parameters(rng)
    means = squares = tuple(np.zeros_like(parameter) for parameter in parameters)
    rows = len(digits.train_labels)
    labels = one_hot(digits.train_labels)
    epochs = 1 if context.smoke else EPOCHS
    step, correct, started = 0, 0.0, time.perf_counter()
    for epoch in range(1, epochs + 1):
        title = f"digits: epoch {epoch} of {epochs}"
        context.display.progress(title, epoch - 1, epochs, brief=True)
        order = rng.permutation(rows)
        losses = []
        for first in range(0, rows - BATCH_ROWS + 1, BATCH_ROWS):
            chosen = order[first : first + BATCH_ROWS]
            step += 1
            value, parameters, means, squares = step_function(
                parameters, means, squares, float(step), digits.train_images[chosen], labels[chosen]
            )  # fmt: skip
            losses.append(float(value))
        correct = accuracy(parameters, digits.test_images, digits.test_labels)
        if epoch == 1 or epoch % 5 == 0:
            context.display.line(
                f"epoch {epoch:3d}  loss {np.mean(losses):.4f}  test accuracy {correct:.2%}"
            )
    seconds = time.perf_counter() - started
    context.display.line(
        f"digits: test accuracy {correct:.2%} after {epochs} epochs, "
        f"{seconds:.1f} s with tracing and compiling (backend {backend})"
    )
    context.fact("digits", "test accuracy", correct)
    context.fact("digits", "training seconds", seconds)
    context.fact("digits", "epochs", epochs)
    if correct < ASKED_ACCURACY and not context.smoke:
        raise ArithmeticError(
            f"test accuracy {correct:.2%} is below the {ASKED_ACCURACY:.0%} that is asked for"
        )


def work(size: Size) -> Work:
    """Two products in the first layer, three in the second; a function value a unit."""
    rows = size["rows"]
    first, second = PIXELS * HIDDEN, HIDDEN * CLASSES
    flops = rows * (4.0 * first + 6.0 * second + 25.0 * HIDDEN + 30.0 * CLASSES)
    return Work(flops, 8.0 * (2 * (first + second) + rows * (PIXELS + CLASSES)))


WORKLOAD = Workload(
    name="digits",
    description="a 64-128-10 network trained with Adam on the handwritten digits",
    sizes={
        "small": {"rows": 64},
        "medium": {"rows": 256},
        "large": {"rows": 1_437},
    },
    smoke={"rows": 8},
    tiny={"rows": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={
        "gradient": gradient({0: "weights1", 1: "bias1", 2: "weights2", 3: "bias2"}),
    },
    work={"gradient": work},
    tolerance=Tolerance(1e-11, "matrix products over all images, summed in another order"),
    prologue=train,
)
