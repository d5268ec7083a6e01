// The chain y <- 1 / sqrt(0.5 sin y + x), its sum, and the derivative carried beside the value.

#include <cmath>

extern "C" void run(const double *const *in, double *const *out) {
    constexpr long n = SIZE_N, links = SIZE_OPERATIONS / 5, lanes = 8;
    const double *x = in[0];
    double *slopes = out[1];
    double sums[lanes] = {};
    for (long first = 0; first < n; first += lanes) {
        const long count = n - first < lanes ? n - first : lanes;
        double at[lanes], y[lanes], slope[lanes];
        for (long j = 0; j < lanes; ++j) {
            at[j] = y[j] = j < count ? x[first + j] : 1.0;
            slope[j] = 1.0;
        }
        for (long link = 0; link < links; ++link) {
            for (long j = 0; j < lanes; ++j) {
                const double inner = SIZE_FUNCTIONS ? std::sin(y[j]) : y[j] * 0.75;
                const double inner_slope = (SIZE_FUNCTIONS ? std::cos(y[j]) : 0.75) * slope[j];
                y[j] = 1.0 / std::sqrt(inner * 0.5 + at[j]);
                slope[j] = -0.5 * (y[j] * y[j] * y[j]) * (inner_slope * 0.5 + 1.0);
            }
        }
        for (long j = 0; j < count; ++j) {
            slopes[first + j] = slope[j];
            sums[j] += y[j];
        }
    }
    double total = 0.0;
    for (long j = 0; j < lanes; ++j) total += sums[j];
    out[0][0] = total;
}
