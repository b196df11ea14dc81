#include <cmath>

#include "kernels/score/rank.h"
#include "kernels/softmax_kl/softmax_kl.h"
#include "kernels/softmax_xent/softmax_xent.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

using kernels::SoftmaxXentPointers;
using kernels::SoftmaxXentProblem;

void check_labels(const char* op, const Tensor& logits, const Tensor& labels) {
  detail::check_float(op, "logits", logits);
  detail::check_rank(op, "logits", logits, 2, "N,C");
  OCTET_CHECK(labels.defined(), op, "labels are undefined");
  const std::int64_t pictures = logits.shape()[0], classes = logits.shape()[1];
  OCTET_CHECK(labels.dtype() == DType::s32 && labels.shape() == Shape{pictures}, op,
              "labels must be s32 of shape {}, they are {} {} (logits {})", pictures, name_of(labels.dtype()),
              labels.shape().str(), logits.shape().str());
  detail::check_device(op, "labels", labels, logits);
  // On a device nothing is read here: who brings labels there looks at them before.
  if (labels.device() == Device::cpu) require_labels(labels, classes, op);
}

template <class T>
std::int64_t count_hits(const Tensor& logits, const Tensor& labels, std::int64_t k) {
  const std::int64_t pictures = logits.shape()[0], classes = logits.shape()[1];
  std::int64_t hits = 0;
  for (std::int64_t i = 0; i < pictures; ++i) {
    const T* row = logits.data<T>() + i * classes;
    const std::int64_t label = labels.data<std::int32_t>()[i];
    if (std::isnan(row[label])) continue;
    std::int64_t ahead = 0;
    for (std::int64_t j = 0; j < classes; ++j) ahead += kernels::ranks_before(row[j], j, row[label], label);
    hits += ahead < k;
  }
  return hits;
}

}  // namespace

void require_labels(const Tensor& labels, std::int64_t classes, const char* where) {
  for (std::int64_t i = 0; i < labels.numel(); ++i) {
    const std::int32_t label = labels.data<std::int32_t>()[i];
    OCTET_CHECK(label >= 0 && label < classes, where, "label {} of picture {} is outside [0, {})", label, i, classes);
  }
}

Variable softmax_cross_entropy(const Variable& logits, const Tensor& labels, double label_smoothing) {
  constexpr const char* kOp = "softmax_cross_entropy";
  OCTET_CHECK(logits.defined(), kOp, "logits are undefined");
  check_labels(kOp, logits.value(), labels);
  OCTET_CHECK(label_smoothing >= 0 && label_smoothing <= 1, kOp, "label smoothing {} is outside [0, 1]",
              label_smoothing);
  SoftmaxXentProblem problem;
  problem.pictures = logits.shape()[0], problem.classes = logits.shape()[1], problem.label_smoothing = label_smoothing;
  Tensor loss = detail::empty_like(logits.value(), Shape{1}), probabilities = detail::empty_like(logits.value());
  SoftmaxXentPointers p;
  p.logits = logits.value().raw(), p.labels = static_cast<const std::int32_t*>(labels.raw());
  p.probabilities = probabilities.raw(), p.loss = loss.raw();
  kernels::dispatch(kernels::softmax_xent_rows(), "softmax_xent_fwd", detail::row_of(loss), problem, p,
                    detail::context_of(loss));
  return record(kOp, {{"label_smoothing", label_smoothing}}, {logits}, std::move(loss),
                [=](const Tensor& d_loss, const std::vector<bool>&) {
                  Tensor d_logits = detail::empty_like(probabilities), saved = probabilities;
                  SoftmaxXentPointers p;
                  p.labels = static_cast<const std::int32_t*>(labels.raw()), p.probabilities = saved.raw();
                  p.d_loss = d_loss.raw(), p.d_logits = d_logits.raw();
                  kernels::dispatch(kernels::softmax_xent_rows(), "softmax_xent_bwd", detail::row_of(d_loss), problem,
                                    p, detail::context_of(d_loss));
                  return std::vector<Tensor>{d_logits};
                });
}

Variable softmax_kl(const Variable& logits, const Tensor& teacher, double temperature) {
  constexpr const char* kOp = "softmax_kl";
  detail::check_float(kOp, "logits", logits);
  detail::check_rank(kOp, "logits", logits.value(), 2, "N,C");
  detail::check_like(kOp, "teacher", Variable(teacher), logits.value(), logits.shape());
  OCTET_CHECK(temperature > 0 && std::isfinite(temperature), kOp, "temperature {} is not a positive number",
              temperature);
  const kernels::SoftmaxKlProblem problem{logits.shape()[0], logits.shape()[1], temperature};
  Tensor loss = detail::empty_like(logits.value(), Shape{1}), difference = detail::empty_like(logits.value());
  kernels::SoftmaxKlPointers p;
  p.logits = logits.value().raw(), p.teacher = teacher.raw(), p.difference = difference.raw(), p.loss = loss.raw();
  kernels::dispatch(kernels::softmax_kl_rows(), "softmax_kl_fwd", detail::row_of(loss), problem, p,
                    detail::context_of(loss));
  return record(kOp, {{"temperature", temperature}}, {logits}, std::move(loss),
                [=](const Tensor& d_loss, const std::vector<bool>&) {
                  Tensor d_logits = detail::empty_like(difference), saved = difference;
                  kernels::SoftmaxKlPointers p;
                  p.difference = saved.raw(), p.d_loss = d_loss.raw(), p.d_logits = d_logits.raw();
                  kernels::dispatch(kernels::softmax_kl_rows(), "softmax_kl_bwd", detail::row_of(d_loss), problem, p,
                                    detail::context_of(d_loss));
                  return std::vector<Tensor>{d_logits};
                });
}

Tensor softmax(const Tensor& logits) {
  detail::check_float("softmax", "logits", logits);
  detail::check_rank("softmax", "logits", logits, 2, "N,C");
  SoftmaxXentProblem problem;
  problem.pictures = logits.shape()[0], problem.classes = logits.shape()[1];
  // The kernel computes a loss beside the probabilities: any valid label will do.
  const Tensor labels = Tensor::zeros(Shape{problem.pictures}, DType::s32, logits.device());
  Tensor loss = detail::empty_like(logits, Shape{1}), probabilities = detail::empty_like(logits);
  SoftmaxXentPointers p;
  p.logits = logits.raw(), p.labels = static_cast<const std::int32_t*>(labels.raw());
  p.probabilities = probabilities.raw(), p.loss = loss.raw();
  kernels::dispatch(kernels::softmax_xent_rows(), "softmax_xent_fwd", detail::row_of(logits), problem, p,
                    detail::context_of(logits));
  return probabilities;
}

std::int64_t count_top_k(const Tensor& logits, const Tensor& labels, std::int64_t k) {
  check_labels("count_top_k", logits, labels);
  OCTET_CHECK(k >= 1, "count_top_k", "k is {}, it must be at least 1", k);
  const Tensor here = logits.to(Device::cpu), wanted = labels.to(Device::cpu);
  require_labels(wanted, here.shape()[1], "count_top_k");
  return detail::with_float(here, [&](auto zero) { return count_hits<decltype(zero)>(here, wanted, k); });
}

}  // namespace octet::ops
