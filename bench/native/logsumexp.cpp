// log Σ exp x and its gradient, the softmax.

#include <algorithm>
#include <cmath>

extern "C" void run(const double *const *in, double *const *out) {
    constexpr long n = SIZE_N;
    const double *x = in[0];
    double *gradient = out[1];
    double largest = x[0];
    for (long i = 1; i < n; ++i) largest = std::max(largest, x[i]);
    double total = 0.0;
    for (long i = 0; i < n; ++i) {
        gradient[i] = std::exp(x[i] - largest);
        total += gradient[i];
    }
    const double scale = 1.0 / total;
    for (long i = 0; i < n; ++i) gradient[i] *= scale;
    out[0][0] = largest + std::log(total);
}
