// The only row of the processor: a few hundred pictures of a few classes, computed in double.
#include "kernels/softmax_xent/pictures.h"
#include "kernels/softmax_xent/softmax_xent.h"

namespace octet::kernels {
namespace {

/// Fills the picture's probabilities and returns its loss. Logits are taken relative to their maximum, so that the loss of a
/// certain answer keeps its digits.
template <class T>
double softmax_of_picture(const SoftmaxXentProblem& p, const T* logits, std::int32_t label, T* probabilities) {
  const double top = top_of(logits, p.classes);
  double sum = 0, relative_sum = 0;
  for (std::int64_t j = 0; j < p.classes; ++j) {
    const double relative = logits[j] - top;
    sum += exp_nonpositive(relative);
    relative_sum += relative;
  }
  for (std::int64_t j = 0; j < p.classes; ++j) {
    probabilities[j] = static_cast<T>(exp_nonpositive(logits[j] - top) / sum);
  }
  double loss = log_of_sum(sum) - (1 - p.label_smoothing) * (logits[label] - top);
  if (p.label_smoothing != 0) loss -= p.label_smoothing / static_cast<double>(p.classes) * relative_sum;
  return loss;
}

template <class T>
void softmax_xent_fwd(const SoftmaxXentProblem& p, const SoftmaxXentPointers& x) {
  *static_cast<T*>(x.loss) = static_cast<T>(mean_over_pictures(p.pictures, [&](std::int64_t i) {
    return softmax_of_picture(p, static_cast<const T*>(x.logits) + i * p.classes, x.labels[i],
                              static_cast<T*>(x.probabilities) + i * p.classes);
  }));
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
