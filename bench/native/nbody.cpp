// The energy of n bodies and its gradient; or leapfrog steps and the way back through them. Every
// body is taken with every other in both orders, so that the inner loop runs along the memory.

#include <cmath>
#include <vector>

namespace {

constexpr long n = SIZE_N, steps = SIZE_STEPS;
constexpr double softening = 0.05 * 0.05, step = 0.01;

struct Vectors {
    std::vector<double> x, y, z;
    Vectors() : x(n), y(n), z(n) {}
    void take(const double *from) {
        for (long i = 0; i < n; ++i) x[i] = from[3 * i], y[i] = from[3 * i + 1], z[i] = from[3 * i + 2];
    }
    void give(double *to) const {
        for (long i = 0; i < n; ++i) to[3 * i] = x[i], to[3 * i + 1] = y[i], to[3 * i + 2] = z[i];
    }
    void add(double factor, const Vectors &other) {
        for (long i = 0; i < n; ++i) {
            x[i] += factor * other.x[i];
            y[i] += factor * other.y[i];
            z[i] += factor * other.z[i];
        }
    }
};

constexpr long lanes = 8;  // partial sums, which the compiler may not make by itself
double total(const double *sums) {
    double all = 0.0;
    for (long l = 0; l < lanes; ++l) all += sums[l];
    return all;
}

template <class Pair>
void each_other(Pair pair) {
    for (long first = 0; first < n; first += lanes)
        for (long l = 0; l < (n - first < lanes ? n - first : lanes); ++l) pair(first + l, l);
}

void accelerate(const Vectors &at, const double *masses, Vectors &result) {
    for (long i = 0; i < n; ++i) {
        double ax[lanes] = {}, ay[lanes] = {}, az[lanes] = {};
        const double x = at.x[i], y = at.y[i], z = at.z[i];
        each_other([&](long j, long l) {
            const double dx = at.x[j] - x, dy = at.y[j] - y, dz = at.z[j] - z;
            const double square = dx * dx + dy * dy + dz * dz + softening;
            const double strength = masses[j] / (square * std::sqrt(square));
            ax[l] += strength * dx, ay[l] += strength * dy, az[l] += strength * dz;
        });
        result.x[i] = total(ax), result.y[i] = total(ay), result.z[i] = total(az);
    }
}

// The adjoint of `accelerate` applied to `back`, of which both ends of a pair have their part.
void accelerate_back(const Vectors &at, const double *masses, const Vectors &back, Vectors &result) {
    for (long i = 0; i < n; ++i) {
        double gx[lanes] = {}, gy[lanes] = {}, gz[lanes] = {};
        const double x = at.x[i], y = at.y[i], z = at.z[i], mass = masses[i];
        const double bx = back.x[i], by = back.y[i], bz = back.z[i];
        each_other([&](long j, long l) {
            const double dx = at.x[j] - x, dy = at.y[j] - y, dz = at.z[j] - z;
            const double inverse = 1.0 / (dx * dx + dy * dy + dz * dz + softening);
            const double cube = inverse * std::sqrt(inverse);
            // From the force on i, and from that on j, whose distance is the negative one.
            const double wx = mass * back.x[j] - masses[j] * bx;
            const double wy = mass * back.y[j] - masses[j] * by;
            const double wz = mass * back.z[j] - masses[j] * bz;
            const double along = 3.0 * inverse * (wx * dx + wy * dy + wz * dz);
            gx[l] += cube * (wx - along * dx);
            gy[l] += cube * (wy - along * dy);
            gz[l] += cube * (wz - along * dz);
        });
        result.x[i] = total(gx), result.y[i] = total(gy), result.z[i] = total(gz);
    }
}

void energy(const double *const *in, double *const *out) {
    const double *velocities = in[1], *masses = in[2];
    static Vectors at, force;
    at.take(in[0]);
    double potential = 0.0, kinetic = 0.0;
    for (long i = 0; i < n; ++i) {
        double gx[lanes] = {}, gy[lanes] = {}, gz[lanes] = {}, sums[lanes] = {};
        const double x = at.x[i], y = at.y[i], z = at.z[i];
        each_other([&](long j, long l) {
            const double dx = at.x[j] - x, dy = at.y[j] - y, dz = at.z[j] - z;
            const double inverse = 1.0 / std::sqrt(dx * dx + dy * dy + dz * dz + softening);
            const double one = masses[j] * inverse, strength = one * inverse * inverse;
            sums[l] += one;
            gx[l] -= strength * dx, gy[l] -= strength * dy, gz[l] -= strength * dz;
        });
        potential -= 0.5 * masses[i] * total(sums);
        force.x[i] = masses[i] * total(gx);
        force.y[i] = masses[i] * total(gy);
        force.z[i] = masses[i] * total(gz);
        for (long c = 3 * i; c < 3 * i + 3; ++c) {
            kinetic += 0.5 * masses[i] * velocities[c] * velocities[c];
            out[2][c] = masses[i] * velocities[c];
        }
    }
    force.give(out[1]);
    out[0][0] = kinetic + potential;
}

void trajectory(const double *const *in, double *const *out) {
    const double *masses = in[2];
    static std::vector<Vectors> middle(steps);
    static Vectors at, speed, change;
    at.take(in[0]);
    speed.take(in[1]);
    for (long k = 0; k < steps; ++k) {
        at.add(0.5 * step, speed);
        middle[k] = at;
        accelerate(at, masses, change);
        speed.add(step, change);
        at.add(0.5 * step, speed);
    }
    double square = 0.0;
    for (long i = 0; i < n; ++i) square += at.x[i] * at.x[i] + at.y[i] * at.y[i] + at.z[i] * at.z[i];
    out[0][0] = square / (3 * n);
    for (long i = 0; i < n; ++i) {
        at.x[i] *= 2.0 / (3 * n), at.y[i] *= 2.0 / (3 * n), at.z[i] *= 2.0 / (3 * n);
        speed.x[i] = speed.y[i] = speed.z[i] = 0.0;
    }
    for (long k = steps - 1; k >= 0; --k) {
        speed.add(0.5 * step, at);
        accelerate_back(middle[k], masses, speed, change);
        at.add(step, change);
        speed.add(0.5 * step, at);
    }
    at.give(out[1]);
    speed.give(out[2]);
}

}  // namespace

extern "C" void run(const double *const *in, double *const *out) {
    if (steps == 0)
        energy(in, out);
    else
        trajectory(in, out);
}
