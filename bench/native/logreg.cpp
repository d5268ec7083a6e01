// Multinomial logistic regression with a ridge: one pass over the images.

#include <algorithm>
#include <cmath>

extern "C" void run(const double *const *in, double *const *out) {
    constexpr long rows = SIZE_ROWS, pixels = 64, classes = 10;
    constexpr double ridge = 1e-3;
    const double *weights = in[0], *bias = in[1], *images = in[2], *labels = in[3];
    double *by_weights = out[1], *by_bias = out[2];
    std::fill(by_weights, by_weights + pixels * classes, 0.0);
    std::fill(by_bias, by_bias + classes, 0.0);
    double loss = 0.0;
    for (long row = 0; row < rows; ++row) {
        const double *image = images + row * pixels, *label = labels + row * classes;
        double logits[classes], delta[classes];
        for (long c = 0; c < classes; ++c) logits[c] = bias[c];
        for (long p = 0; p < pixels; ++p)
            for (long c = 0; c < classes; ++c) logits[c] += image[p] * weights[p * classes + c];
        double largest = logits[0], total = 0.0, chosen = 0.0;
        for (long c = 1; c < classes; ++c) largest = std::max(largest, logits[c]);
        for (long c = 0; c < classes; ++c) {
            delta[c] = std::exp(logits[c] - largest);
            total += delta[c];
            chosen += label[c] * logits[c];
        }
        loss += largest + std::log(total) - chosen;
        for (long c = 0; c < classes; ++c) {
            delta[c] = (delta[c] / total - label[c]) / rows;
            by_bias[c] += delta[c];
        }
        for (long p = 0; p < pixels; ++p)
            for (long c = 0; c < classes; ++c) by_weights[p * classes + c] += image[p] * delta[c];
    }
    double squares = 0.0;
    for (long i = 0; i < pixels * classes; ++i) {
        squares += weights[i] * weights[i];
        by_weights[i] += ridge * weights[i];
    }
    out[0][0] = loss / rows + 0.5 * ridge * squares;
}
