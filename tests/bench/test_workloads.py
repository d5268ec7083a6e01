"""Each workload's function: its formula, and its derivative against the numerical one."""

import numpy as np
import pytest
from scipy import stats

from bench.subjects import Task, TracerSubject, reference_outputs, traced_outputs
from bench.workload import Workload
from bench.workloads import NAMES, bundle, conv, load_workload, nbody, ode
from bench.workloads.blackscholes import EXPIRY, RATE, SPOT, VOLATILITY
from bench.workloads.chain import handwritten_source
from bench.workloads.digits_data import batch
from bench.workloads.memory import LAYERS, workspace

GRADIENTS = [name for name in NAMES if "gradient" in load_workload(name).programs]
STEP = 1e-6


def smoke_task(workload: Workload, program: str) -> Task:
    inputs = workload.make_inputs(workload.smoke, np.random.default_rng(3))
    return Task(workload, workload.smoke, workload.programs[program], program, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_record_is_consistent(name: str) -> None:
    workload = load_workload(name)
    assert workload.name == name
    assert set(workload.default_sizes) <= set(workload.sizes)
    assert {"small", "medium", "large"} <= set(workload.sizes)
    assert all(set(size) == set(workload.smoke) for size in workload.sizes.values())
    assert workload.tolerance.reason
    assert set(workload.handwritten) <= set(workload.programs)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_the_same_for_the_same_seed(name: str) -> None:
    workload = load_workload(name)
    first, second = (
        workload.make_inputs(workload.smoke, np.random.default_rng(7)) for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient_is_the_numerical_one(name: str) -> None:
    """Along a random direction of all differentiated arguments at once, by central differences."""
    workload = load_workload(name)
    task = smoke_task(workload, "gradient")
    value, *gradients = reference_outputs(task)
    function = workload.build(task.size)
    rng = np.random.default_rng(5)
    directions = [rng.normal(size=np.shape(gradient)) for gradient in gradients]

    def along(step: float) -> float:
        moved = [
            argument + step * direction
            for argument, direction in zip(task.inputs, directions, strict=False)
        ]
        return float(np.sum(function(*moved, *task.inputs[len(moved) :])))

    assert along(0.0) == pytest.approx(float(value), rel=1e-13)
    slope = sum(float(np.sum(g * d)) for g, d in zip(gradients, directions, strict=True))
    numerical = (along(STEP) - along(-STEP)) / (2.0 * STEP)
    assert slope == pytest.approx(numerical, rel=1e-6)


def test_greeks_are_the_numerical_ones() -> None:
    workload = load_workload("blackscholes")
    task = smoke_task(workload, "greeks")
    price = workload.build(task.size)
    value, delta, gamma, vega, theta, rho = reference_outputs(task)
    np.testing.assert_allclose(value, price(*task.inputs), rtol=1e-14)

    def moved(argument: int, step: float) -> np.ndarray:
        inputs = list(task.inputs)
        inputs[argument] = inputs[argument] + step
        return np.asarray(price(*inputs))

    def slope(argument: int) -> np.ndarray:
        return (moved(argument, 1e-5) - moved(argument, -1e-5)) / 2e-5

    np.testing.assert_allclose(delta, slope(SPOT), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(vega, slope(VOLATILITY), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(-theta, slope(EXPIRY), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(rho, slope(RATE), rtol=1e-6, atol=1e-7)
    curvature = (moved(SPOT, 0.05) - 2.0 * price(*task.inputs) + moved(SPOT, -0.05)) / 0.05**2
    np.testing.assert_allclose(gamma, curvature, rtol=1e-4, atol=1e-7)


def test_put_call_parity() -> None:
    workload = load_workload("blackscholes")
    *inputs, _ = workload.make_inputs({"n": 20}, np.random.default_rng(1))
    price = workload.build({"n": 20})
    ones = np.ones(20)
    spot, rate, _, expiry, strike = inputs
    np.testing.assert_allclose(
        price(*inputs, ones) - price(*inputs, -ones), spot - strike * np.exp(-rate * expiry)
    )


def test_gmm_is_the_formula_written_with_loops() -> None:
    workload = load_workload("gmm")
    size = {"n": 4, "k": 2, "d": 3}
    alphas, means, factors, points = workload.make_inputs(size, np.random.default_rng(2))
    value = workload.build(size)(alphas, means, factors, points)
    likelihood = 0.0
    for point in points:
        densities = []
        for k in range(2):
            lower = np.diag(np.exp(factors[k, :3]))
            lower[1, 0], lower[2, 0], lower[2, 1] = factors[k, 3:]
            precision = lower.T @ lower
            centred = point - means[k]
            density = np.sqrt(np.linalg.det(precision) / (2.0 * np.pi) ** 3) * np.exp(
                -0.5 * centred @ precision @ centred
            )
            densities.append(np.exp(alphas[k]) / np.sum(np.exp(alphas)) * density)
        likelihood += np.log(sum(densities))
    prior = 0.5 * np.sum(np.exp(factors[:, :3]) ** 2) + 0.5 * np.sum(factors[:, 3:] ** 2)
    # log of 2^(-ν d / 2) / Γ_d(ν / 2) for ν = 4 degrees of freedom and d = 3, two components.
    log_gamma_3_of_2 = 1.5 * np.log(np.pi) + np.log(1.0 * (np.sqrt(np.pi) / 2.0) * 1.0)
    constant = -2.0 * (-6.0 * np.log(2.0) - log_gamma_3_of_2)
    assert value == pytest.approx(likelihood + prior + constant, rel=1e-12)


@pytest.mark.parametrize("functions", [0, 1])
@pytest.mark.parametrize("operations", [5, 20])
def test_handwritten_chain_has_the_values_of_the_chain(operations: int, functions: int) -> None:
    workload = load_workload("chain")
    size = {"operations": operations, "n": 7, "functions": functions, "loop": 0}
    inputs = workload.make_inputs(size, np.random.default_rng(4))
    task = Task(workload, size, workload.programs["gradient"], "gradient", inputs)
    value, gradient = reference_outputs(task)
    total, slopes = workload.handwritten["gradient"](size)(*inputs)
    assert total == pytest.approx(float(value), rel=1e-14)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-13)
    (values,) = workload.handwritten["value"](size)(*inputs)
    np.testing.assert_allclose(values, workload.build(size)(*inputs), rtol=1e-15)


def test_handwritten_chain_is_one_loop() -> None:
    source = handwritten_source("gradient", {"operations": 20, "n": 5, "functions": 1, "loop": 0})
    assert source.count("for ") == 1
    assert source.count("math.sin") == 4


def test_both_forms_of_kmeans_agree() -> None:
    workload = load_workload("kmeans")
    size = {"k": 4, "n": 30, "d": 3, "expanded": 0}
    inputs = workload.make_inputs(size, np.random.default_rng(6))
    expanded = workload.build({**size, "expanded": 1})(*inputs)
    assert expanded == pytest.approx(workload.build(size)(*inputs), rel=1e-13)


def test_chain_is_the_same_as_a_loop() -> None:
    workload = load_workload("chain")
    size = {"operations": 60, "n": 5, "functions": 1, "loop": 0}
    inputs = workload.make_inputs(size, np.random.default_rng(8))
    expected = workload.build({**size, "loop": 1})(*inputs)
    np.testing.assert_array_equal(workload.build(size)(*inputs), expected)


def test_checkpoints_save_the_workspace_that_they_promise() -> None:
    """A step's layers in `none`, its carry in `full`, and that of every √n-th step in `sqrt`."""
    few, many = ({"steps": steps, "width": 8} for steps in (100, 400))
    grown = {
        mode: workspace(many, mode, "llvm")[0] - workspace(few, mode, "llvm")[0]
        for mode in ("none", "full", "sqrt")
    }
    carry = 8 * 8  # bytes
    assert grown["none"] == 300 * carry * (1 + LAYERS)
    assert grown["full"] == 300 * carry
    assert 0 < grown["sqrt"] <= (20 - 10) * carry * (2 + LAYERS)


@pytest.mark.parametrize("sweeps", [1, 3])
def test_the_reference_of_the_stencil_is_that_of_its_loops(sweeps: int) -> None:
    workload = load_workload("stencil")
    size = {"n": 6, "sweeps": sweeps}
    inputs = workload.make_inputs(size, np.random.default_rng(9))
    task = Task(workload, size, workload.programs["gradient"], "gradient", inputs)
    by_diagonals = reference_outputs(task)
    by_hand = workload.handwritten["gradient"](size)(*inputs)
    for found, expected, third in zip(by_diagonals, traced_outputs(task), by_hand, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(third, expected, rtol=1e-13, atol=1e-15)
    assert not TracerSubject("numpy").has(task)
    assert TracerSubject("llvm").has(task)


def test_the_ode_converges_with_the_fourth_power_of_its_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workload = load_workload("ode")
    inputs = workload.make_inputs({"n": 1, "steps": 1}, np.random.default_rng(9))

    def distance(steps: int) -> float:
        monkeypatch.setattr(ode, "STEP", 0.4 / steps)
        return float(workload.build({"n": 1, "steps": steps})(*inputs))

    exact = distance(640)
    first, second = (abs(distance(steps) - exact) for steps in (40, 80))
    assert 12.0 < first / second < 20.0


def test_leapfrog_goes_back_the_way_it_came() -> None:
    """With its momentum turned round a trajectory ends where it began, to rounding."""
    workload = load_workload("hmc")
    task = smoke_task(workload, "trajectory")
    position, momentum, images, signs = task.inputs
    there, speed, error = reference_outputs(task)
    back = Task(workload, task.size, task.program, "trajectory", (there, -speed, images, signs))
    start, again, _ = reference_outputs(back)
    np.testing.assert_allclose(start, position, rtol=0.0, atol=1e-13)
    np.testing.assert_allclose(again, -momentum, rtol=0.0, atol=1e-13)
    assert 0.0 < abs(error) < 0.05


def test_a_simulation_keeps_its_energy() -> None:
    """The forces of the trajectory are the gradient of the energy: what leapfrog conserves."""
    workload = load_workload("nbody")
    size = {"n": 6, "steps": 0}
    positions, velocities, masses = workload.make_inputs(size, np.random.default_rng(4))
    task = Task(
        workload, size, workload.programs["gradient"], "gradient", (positions, velocities, masses)
    )
    _, forces, momenta = reference_outputs(task)
    expected = -forces / masses[:, np.newaxis]
    np.testing.assert_allclose(nbody.accelerations(positions, masses), expected, rtol=1e-12)
    np.testing.assert_allclose(momenta, masses[:, np.newaxis] * velocities, rtol=1e-15)


def test_blocks_add_up_to_the_gradient() -> None:
    """Jᵀ r of all observations, their blocks in the rows of their camera and point."""
    workload = load_workload("bundle")
    cameras, points, observed, which, what = smoke_task(workload, "gradient").inputs
    _, by_cameras, by_points = reference_outputs(smoke_task(workload, "gradient"))
    camera_blocks, point_blocks = reference_outputs(smoke_task(workload, "blocks"))
    errors = bundle.residual(cameras[which], points[what], observed)
    cameras_sum, points_sum = np.zeros_like(cameras), np.zeros_like(points)
    np.add.at(cameras_sum, which, np.einsum("kri,kr->ki", camera_blocks, errors))
    np.add.at(points_sum, what, np.einsum("kri,kr->ki", point_blocks, errors))
    np.testing.assert_allclose(cameras_sum, by_cameras, rtol=1e-11)
    np.testing.assert_allclose(points_sum, by_points, rtol=1e-11)


def test_a_turned_point_keeps_its_length_and_its_height_over_the_axis() -> None:
    rng = np.random.default_rng(5)
    vectors, points = rng.normal(size=(2, 7, 3))
    turned = bundle.turned(vectors, points)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(points, axis=1))
    heights = [np.sum(item * vectors, axis=1) for item in (turned, points)]
    np.testing.assert_allclose(heights[0], heights[1])


def test_the_convolution_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(6)
    images, filters = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(3, 3, 3, 4))
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    expected = np.einsum("nhwcij,ijcd->nhwd", windows, filters)
    np.testing.assert_allclose(conv.convolve(images, filters.reshape(27, 4)), expected, rtol=1e-12)


def test_rows_of_the_lstm_follow_each_other_as_in_the_images() -> None:
    *_, rows = load_workload("lstm").make_inputs(
        {"steps": 15, "batch": 2, "hidden": 1}, np.random.default_rng(0)
    )
    images, _ = batch(4)
    np.testing.assert_array_equal(rows[:, 0], images[:2].reshape(16, 8))
    np.testing.assert_array_equal(rows[:, 1], images[2:].reshape(16, 8))


def test_the_gaussian_process_is_a_normal_distribution() -> None:
    """−log p by the density of SciPy, whose covariance is written element by element."""
    workload = load_workload("cholesky")
    scale, lengths, noise, features, measured = workload.make_inputs(
        {"n": 7}, np.random.default_rng(2)
    )
    covariance = np.empty((7, 7))
    for i, j in np.ndindex(7, 7):
        distance = np.sum(((features[i] - features[j]) / np.exp(lengths)) ** 2)
        covariance[i, j] = np.exp(scale[0]) ** 2 * np.exp(-0.5 * distance)
        covariance[i, j] += np.exp(noise[0]) ** 2 * (i == j)
    expected = -stats.multivariate_normal(np.zeros(7), covariance).logpdf(measured)
    value = workload.build({"n": 7})(scale, lengths, noise, features, measured)
    assert value == pytest.approx(expected, rel=1e-10)
