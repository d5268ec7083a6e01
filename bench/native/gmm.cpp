// ADBench's Gaussian mixture with a Wishart prior (gamma = 1, m = 0): points outside, components
// inside. What lies below the diagonals is copied once into whole matrices.

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

constexpr long n = SIZE_N, k = SIZE_K, d = SIZE_D, below = d * (d - 1) / 2, row = d + below;

double constant() {
    const double pi = std::acos(-1.0), freedom = d + 1;
    double log_gamma = 0.25 * d * (d - 1) * std::log(pi);
    for (long j = 0; j < d; ++j) log_gamma += std::lgamma(0.5 * (freedom - j));
    const double prior = -freedom * d * 0.5 * std::log(2.0) - log_gamma;
    return -0.5 * n * d * std::log(2.0 * pi) - k * prior;
}

double log_sum_exp(const double *x, double *shares) {
    double largest = x[0], total = 0.0;
    for (long c = 1; c < k; ++c) largest = std::max(largest, x[c]);
    for (long c = 0; c < k; ++c) total += shares[c] = std::exp(x[c] - largest);
    for (long c = 0; c < k; ++c) shares[c] /= total;
    return largest + std::log(total);
}

}  // namespace

extern "C" void run(const double *const *in, double *const *out) {
    const double *alphas = in[0], *means = in[1], *factors = in[2], *points = in[3];
    double *by_alphas = out[1], *by_means = out[2], *by_factors = out[3];
    static std::vector<double> matrices(k * d * d), by_matrices(k * d * d), centred(k * d),
        whitened(k * d);
    double log_determinants[k], exponents[k], shares[k], by_determinants[k] = {};
    std::fill(by_matrices.begin(), by_matrices.end(), 0.0);
    std::fill(by_alphas, by_alphas + k, 0.0);
    std::fill(by_means, by_means + k * d, 0.0);
    for (long c = 0; c < k; ++c) {
        const double *factor = factors + c * row;
        double *matrix = &matrices[c * d * d];
        log_determinants[c] = 0.0;
        for (long column = 0, next = d; column < d; ++column) {
            log_determinants[c] += factor[column];
            for (long i = 0; i < column; ++i) matrix[i * d + column] = 0.0;
            matrix[column * d + column] = std::exp(factor[column]);
            for (long i = column + 1; i < d; ++i) matrix[i * d + column] = factor[next++];
        }
    }
    double likelihood = 0.0;
    for (long point = 0; point < n; ++point) {
        for (long c = 0; c < k; ++c) {
            double square = 0.0;
            for (long i = 0; i < d; ++i) centred[c * d + i] = points[point * d + i] - means[c * d + i];
            for (long i = 0; i < d; ++i) {
                double sum = 0.0;
                for (long j = 0; j <= i; ++j) sum += matrices[(c * d + i) * d + j] * centred[c * d + j];
                whitened[c * d + i] = sum;
                square += sum * sum;
            }
            exponents[c] = alphas[c] + log_determinants[c] - 0.5 * square;
        }
        likelihood += log_sum_exp(exponents, shares);
        for (long c = 0; c < k; ++c) {
            by_alphas[c] += shares[c];
            by_determinants[c] += shares[c];
            for (long i = 0; i < d; ++i) {
                const double back = -shares[c] * whitened[c * d + i];
                for (long j = 0; j <= i; ++j) {
                    by_matrices[(c * d + i) * d + j] += back * centred[c * d + j];
                    by_means[c * d + j] -= back * matrices[(c * d + i) * d + j];
                }
            }
        }
    }
    const double normalizer = log_sum_exp(alphas, shares);
    double prior = 0.0;
    for (long c = 0; c < k; ++c) {
        by_alphas[c] -= n * shares[c];
        const double *factor = factors + c * row;
        double *by_factor = by_factors + c * row;
        for (long column = 0, next = d; column < d; ++column) {
            const double diagonal = matrices[(c * d + column) * d + column];
            prior += 0.5 * diagonal * diagonal;
            by_factor[column] = by_determinants[c] +
                                diagonal * (by_matrices[(c * d + column) * d + column] + diagonal);
            for (long i = column + 1; i < d; ++i, ++next) {
                prior += 0.5 * factor[next] * factor[next];
                by_factor[next] = by_matrices[(c * d + i) * d + column] + factor[next];
            }
        }
    }
    out[0][0] = likelihood - n * normalizer + prior + constant();
}
