#include <fmt/format.h>

#include "kernels/softmax_kl/softmax_kl.h"
#include "kernels/softmax_xent/pictures.h"

namespace octet::kernels {
namespace {

/// The softmax of one picture's logits divided by the temperature.
template <class T>
class Softmax {
 public:
  Softmax(const SoftmaxKlProblem& p, const T* logits)
      : logits_(logits), temperature_(p.temperature), top_(top_of(logits, p.classes)) {
    for (std::int64_t j = 0; j < p.classes; ++j) sum_ += exp_nonpositive(relative(j));
    log_sum_ = log_of_sum(sum_);
  }
  double probability(std::int64_t j) const { return exp_nonpositive(relative(j)) / sum_; }
  double log_probability(std::int64_t j) const { return relative(j) - log_sum_; }

 private:
  double relative(std::int64_t j) const { return (logits_[j] - top_) / temperature_; }
  const T* logits_;
  double temperature_, top_, sum_ = 0, log_sum_ = 0;
};

template <class T>
void forward(const SoftmaxKlProblem& p, const SoftmaxKlPointers& x) {
  const double mean = mean_over_pictures(p.pictures, [&](std::int64_t i) {
    const Softmax<T> student(p, static_cast<const T*>(x.logits) + i * p.classes),
        teacher(p, static_cast<const T*>(x.teacher) + i * p.classes);
    T* difference = static_cast<T*>(x.difference) + i * p.classes;
    double loss = 0;
    for (std::int64_t j = 0; j < p.classes; ++j) {
      const double t = teacher.probability(j);
      difference[j] = static_cast<T>(student.probability(j) - t);
      if (t != 0) loss += t * (teacher.log_probability(j) - student.log_probability(j));
    }
    return loss;
  });
  *static_cast<T*>(x.loss) = static_cast<T>(p.temperature * p.temperature * mean);
}

template <class T>
void backward(const SoftmaxKlProblem& p, const SoftmaxKlPointers& x) {
  const double d = p.temperature * *static_cast<const T*>(x.d_loss) / static_cast<double>(p.pictures);
  for_pictures(p.pictures, [&](std::int64_t i) {
    const T* difference = static_cast<const T*>(x.difference) + i * p.classes;
    T* d_logits = static_cast<T*>(x.d_logits) + i * p.classes;
    for (std::int64_t j = 0; j < p.classes; ++j) d_logits[j] = static_cast<T>(difference[j] * d);
  });
}

}  // namespace

std::string SoftmaxKlProblem::str() const {
  return fmt::format("pictures {} classes {} temperature {}", pictures, classes, temperature);
}

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                                 \
  const char* pass##_##dtypes##_reference_why_not(const SoftmaxKlProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const SoftmaxKlProblem& p, const SoftmaxKlPointers& x, const Context&) { run(p, x); }
OCTET_REFERENCE_ROW(softmax_kl_fwd, f32, forward<float>)
OCTET_REFERENCE_ROW(softmax_kl_fwd, f64, forward<double>)
OCTET_REFERENCE_ROW(softmax_kl_bwd, f32, backward<float>)
OCTET_REFERENCE_ROW(softmax_kl_bwd, f64, backward<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
