// The only row: a few hundred pictures of a few classes, computed in double.
#include <cmath>
#include <limits>
#include <vector>

#include "core/parallel.h"
#include "core/portable_math.h"
#include "kernels/softmax_xent/softmax_xent.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kPicturesPerTask = 32;

template <class F>
void for_pictures(std::int64_t pictures, F&& f) {
  parallel_for((pictures + kPicturesPerTask - 1) / kPicturesPerTask, [&](std::int64_t task) {
    const std::int64_t begin = task * kPicturesPerTask;
    const std::int64_t end = begin + kPicturesPerTask < pictures ? begin + kPicturesPerTask : pictures;
    for (std::int64_t picture = begin; picture < end; ++picture) f(picture);
  });
}

/// exp(x) for x <= 0; what the difference of two infinities leaves behind passes through.
double exp_nonpositive(double x) {
  if (x == -std::numeric_limits<double>::infinity()) return 0;
  return x != x ? x : portable::exp(x);
}

/// Fills the picture's probabilities and returns its loss. Logits are taken relative to their maximum, so that
/// nothing overflows and the loss of a certain answer keeps its digits.
template <class T>
double softmax_of_picture(const SoftmaxXentProblem& p, const T* logits, std::int32_t label, T* probabilities) {
  double top = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = 0; j < p.classes; ++j) {
    const double x = logits[j];
    if (!(x <= top)) top = x;
  }
  double sum = 0, relative_sum = 0;
  for (std::int64_t j = 0; j < p.classes; ++j) {
    const double relative = logits[j] - top;
    sum += exp_nonpositive(relative);
    relative_sum += relative;
  }
  for (std::int64_t j = 0; j < p.classes; ++j) {
    probabilities[j] = static_cast<T>(exp_nonpositive(logits[j] - top) / sum);
  }
  double loss = (sum == sum ? portable::log(sum) : sum) - (1 - p.label_smoothing) * (logits[label] - top);
  if (p.label_smoothing != 0) loss -= p.label_smoothing / static_cast<double>(p.classes) * relative_sum;
  return loss;
}

template <class T>
void softmax_xent_fwd(const SoftmaxXentProblem& p, const SoftmaxXentPointers& x) {
  std::vector<double> losses(static_cast<std::size_t>(p.pictures));
  for_pictures(p.pictures, [&](std::int64_t i) {
    losses[static_cast<std::size_t>(i)] =
        softmax_of_picture(p, static_cast<const T*>(x.logits) + i * p.classes, x.labels[i],
                           static_cast<T*>(x.probabilities) + i * p.classes);
  });
  double sum = 0;
  for (double loss : losses) sum += loss;
  *static_cast<T*>(x.loss) = static_cast<T>(sum / static_cast<double>(p.pictures));
}

template <class T>
void softmax_xent_bwd(const SoftmaxXentProblem& p, const SoftmaxXentPointers& x) {
  const double d_loss = *static_cast<const T*>(x.d_loss);
  const double other = p.label_smoothing / static_cast<double>(p.classes);
  for_pictures(p.pictures, [&](std::int64_t i) {
    const T* probabilities = static_cast<const T*>(x.probabilities) + i * p.classes;
    T* d_logits = static_cast<T*>(x.d_logits) + i * p.classes;
    for (std::int64_t j = 0; j < p.classes; ++j) {
      const double target = other + (j == x.labels[i] ? 1 - p.label_smoothing : 0.0);
      d_logits[j] = static_cast<T>((probabilities[j] - target) * d_loss / static_cast<double>(p.pictures));
    }
  });
}

}  // namespace

#define ROW(pass, dtypes, T)                                                                                    \
  const char* pass##_##dtypes##_reference_why_not(const SoftmaxXentProblem&) { return nullptr; }                \
  void pass##_##dtypes##_reference(const SoftmaxXentProblem& p, const SoftmaxXentPointers& x, const Context&) { \
    pass<T>(p, x);                                                                                              \
  }
ROW(softmax_xent_fwd, f32, float)
ROW(softmax_xent_fwd, f64, double)
ROW(softmax_xent_bwd, f32, float)
ROW(softmax_xent_bwd, f64, double)
#undef ROW

}  // namespace octet::kernels
