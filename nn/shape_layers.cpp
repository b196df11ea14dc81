// Layers without parameters: add, concat, pools, dropout.
#include "nn/layers.h"

namespace octet::nn {

Variable Add::operator()(const Variable& a, const Variable& b) {
  ScopeGuard scope(this);
  return ops::add(through_slot("lhs_transform", a), through_slot("rhs_transform", b));
}

Variable Concat::operator()(const std::vector<Variable>& parts) {
  ScopeGuard scope(this);
  return ops::concat(parts);
}

Variable AvgPool2d::forward(const Variable& src) { return ops::avg_pool(through_slot("input_transform", src), args_); }

Variable GlobalAvgPool::forward(const Variable& src) {
  return ops::global_avg_pool(through_slot("input_transform", src));
}

Dropout::Dropout(double probability, std::uint64_t seed)
    : probability_(probability),
      seed_(seed),
      step_(register_buffer("step", Tensor::zeros({1}, DType::s32), Device::cpu)) {
  OCTET_CHECK(probability >= 0 && probability < 1, "Dropout", "probability {} is not in [0, 1)", probability);
}

Variable Dropout::forward(const Variable& src) {
  if (!is_training()) return src;
  const auto step = static_cast<std::uint64_t>(step_.data<std::int32_t>()[0]++);
  return ops::dropout(src, probability_, seed_, step);
}

}  // namespace octet::nn
