// Runge and Kutta's method through Lorenz's equations and back: eight systems at once go through
// all steps, and the way back computes a step's slopes again from the point before it.

#include <vector>

namespace {

constexpr long n = SIZE_N, steps = SIZE_STEPS, lanes = n < 8 ? n : 8;
constexpr double h = 0.01;

struct Point {
    double x, y, z;
};

inline Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Point operator*(double s, Point a) { return {s * a.x, s * a.y, s * a.z}; }

inline Point slope(Point p, Point q) {
    return {q.x * (p.y - p.x), p.x * (q.y - p.z) - p.y, p.x * p.y - q.z * p.z};
}

inline Point slope_back(Point p, Point q, Point g, Point &by_parameters) {
    by_parameters = by_parameters + Point{g.x * (p.y - p.x), g.y * p.x, -g.z * p.z};
    return {(q.y - p.z) * g.y + p.y * g.z - q.x * g.x, q.x * g.x - g.y + p.x * g.z,
            -p.x * g.y - q.z * g.z};
}

inline Point forward(Point p, Point q) {
    const Point a = slope(p, q), b = slope(p + 0.5 * h * a, q), c = slope(p + 0.5 * h * b, q);
    const Point d = slope(p + h * c, q);
    return p + h / 6.0 * (a + 2.0 * (b + c) + d);
}

inline Point backward(Point p, Point q, Point g, Point &by_parameters) {
    const Point a = slope(p, q), second = p + 0.5 * h * a, b = slope(second, q);
    const Point third = p + 0.5 * h * b, c = slope(third, q), fourth = p + h * c;
    const Point g4 = slope_back(fourth, q, h / 6.0 * g, by_parameters);
    const Point g3 = slope_back(third, q, h / 3.0 * g + h * g4, by_parameters);
    const Point g2 = slope_back(second, q, h / 3.0 * g + 0.5 * h * g3, by_parameters);
    const Point g1 = slope_back(p, q, h / 6.0 * g + 0.5 * h * g2, by_parameters);
    return g + g1 + g2 + g3 + g4;
}

}  // namespace

extern "C" void run(const double *const *in, double *const *out) {
    const double *start = in[0], *observed = in[2];
    const Point q = {in[1][0], in[1][1], in[1][2]};
    static std::vector<double> stored(3 * lanes * (steps + 1));
    double value = 0.0;
    Point by_parameters[lanes] = {};
    for (long first = 0; first < n; first += lanes) {
        const long count = n - first < lanes ? n - first : lanes;
        // The last block begins earlier where it would not be full; what it repeats counts nothing.
        const long base = n - first < lanes ? n - lanes : first;
        double *x = stored.data(), *y = x + lanes, *z = y + lanes;
        for (long l = 0; l < lanes; ++l) {
            x[l] = start[base + l], y[l] = start[n + base + l], z[l] = start[2 * n + base + l];
        }
        for (long k = 0; k < steps; ++k, x += 3 * lanes, y += 3 * lanes, z += 3 * lanes)
            for (long l = 0; l < lanes; ++l) {
                const Point next = forward({x[l], y[l], z[l]}, q);
                x[3 * lanes + l] = next.x, y[3 * lanes + l] = next.y, z[3 * lanes + l] = next.z;
            }
        double gx[lanes], gy[lanes], gz[lanes];
        for (long l = 0; l < lanes; ++l) {
            const double counts = l >= lanes - count ? 1.0 : 0.0;
            const double dx = x[l] - observed[base + l], dy = y[l] - observed[n + base + l];
            const double dz = z[l] - observed[2 * n + base + l];
            value += counts * (dx * dx + dy * dy + dz * dz);
            gx[l] = counts * 2.0 / n * dx, gy[l] = counts * 2.0 / n * dy;
            gz[l] = counts * 2.0 / n * dz;
        }
        for (long k = steps - 1; k >= 0; --k) {
            x -= 3 * lanes, y -= 3 * lanes, z -= 3 * lanes;
            for (long l = 0; l < lanes; ++l) {
                const Point g = backward({x[l], y[l], z[l]}, q, {gx[l], gy[l], gz[l]}, by_parameters[l]);
                gx[l] = g.x, gy[l] = g.y, gz[l] = g.z;
            }
        }
        for (long l = lanes - count; l < lanes; ++l) {
            out[1][base + l] = gx[l], out[1][n + base + l] = gy[l], out[1][2 * n + base + l] = gz[l];
        }
    }
    Point sum = {};
    for (long l = 0; l < lanes; ++l) sum = sum + by_parameters[l];
    out[2][0] = sum.x, out[2][1] = sum.y, out[2][2] = sum.z;
    out[0][0] = value / n;
}
