#include "nn/init.h"
#include "nn/layers.h"

namespace octet::nn {

Linear::Linear(std::int64_t in_features, std::int64_t out_features, bool with_bias) {
  OCTET_CHECK(in_features > 0 && out_features > 0, "Linear", "features {} -> {} must be positive", in_features,
              out_features);
  Tensor w({out_features, in_features});
  fill_uniform(w, xavier_bound(in_features, out_features), 0, 0);
  weight = register_parameter("weight", w);
  if (with_bias) bias = register_parameter("bias", Tensor::zeros({out_features}));
}

Variable Linear::forward(const Variable& src) {
  const Variable x = through_slot("input_transform", src);
  const Variable w = through_slot("weight_transform", effective_weight());
  return ops::linear(x, w, bias.defined() ? through_slot("bias_transform", bias) : bias);
}

}  // namespace octet::nn
