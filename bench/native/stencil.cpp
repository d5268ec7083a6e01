// Over-relaxation in place and its adjoint. The update is linear: nothing is stored on the way.

#include <algorithm>

extern "C" void run(const double *const *in, double *const *out) {
    constexpr long n = SIZE_N, sweeps = SIZE_SWEEPS;
    constexpr double weight = 1.7, old = 1.0 - weight, fresh = 0.25 * weight;
    const double *source = in[1];
    double *back = out[1], *by_source = out[2];
    double *a = back;  // the way forward ends where the way back begins
    std::copy(in[0], in[0] + n * n, a);
    std::fill(by_source, by_source + n * n, 0.0);
    for (long sweep = 0; sweep < sweeps; ++sweep)
        for (long i = 1; i < n - 1; ++i)
            for (long j = 1; j < n - 1; ++j) {
                double *at = a + i * n + j;
                at[0] = old * at[0] + fresh * (at[-n] + at[n] + at[-1] + at[1] + source[i * n + j]);
            }
    double value = 0.0;
    for (long i = 0; i < n * n; ++i) {
        value += a[i] * a[i];
        back[i] = 2.0 * a[i];
    }
    for (long sweep = 0; sweep < sweeps; ++sweep)
        for (long i = n - 2; i > 0; --i)
            for (long j = n - 2; j > 0; --j) {
                double *at = back + i * n + j;
                const double share = fresh * at[0];
                at[0] *= old;
                at[-n] += share;
                at[n] += share;
                at[-1] += share;
                at[1] += share;
                by_source[i * n + j] += share;
            }
    out[0][0] = value;
}
