// What rows on the processor do picture by picture with logits, in double.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "core/portable_math.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kPicturesPerTask = 32;

template <class F>
void for_pictures(std::int64_t pictures, F&& f) {
  parallel_for((pictures + kPicturesPerTask - 1) / kPicturesPerTask, [&](std::int64_t task) {
    for (std::int64_t i = task * kPicturesPerTask; i < std::min((task + 1) * kPicturesPerTask, pictures); ++i) f(i);
  });
}

/// exp(x) for x <= 0; what the difference of two infinities leaves behind passes through.
inline double exp_nonpositive(double x) {
  if (x == -std::numeric_limits<double>::infinity()) return 0;
  return x != x ? x : portable::exp(x);
}
inline double log_of_sum(double sum) { return sum == sum ? portable::log(sum) : sum; }

/// The largest logit, from which the others are taken, so that nothing overflows.
template <class T>
double top_of(const T* logits, std::int64_t classes) {
  double top = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = 0; j < classes; ++j) {
    const double x = logits[j];
    if (!(x <= top)) top = x;
  }
  return top;
}

/// The mean of f(picture), summed in order.
template <class F>
double mean_over_pictures(std::int64_t pictures, F&& f) {
  std::vector<double> losses(static_cast<std::size_t>(pictures));
  for_pictures(pictures, [&](std::int64_t i) { losses[static_cast<std::size_t>(i)] = f(i); });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum / static_cast<double>(pictures);
}

}  // namespace
}  // namespace octet::kernels
