#include "quant/calibration/single_layers.h"

#include <map>

#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

std::vector<const PlanNode*> single_layers(const Drafts& drafts) {
  std::map<const nn::Module*, int> uses;
  for (const Draft& op : drafts.ops) ++uses[op.node.layer];
  std::vector<const PlanNode*> layers;
  for (const Draft& op : drafts.ops) {
    const nn::Module* layer = op.node.layer;
    if (layer != nullptr && uses.at(layer) == 1 && quantizer_in(*layer, "weight_transform") != nullptr &&
        quantizer_in(*layer, "input_transform") != nullptr)
      layers.push_back(&op.node);
  }
  return layers;
}

Tensor affine_behind(const PlanNode& node) {
  const NoGrad no_grad;
  const std::int64_t channels = nn::weight_of(*node.layer).shape()[0];
  Tensor affine = Tensor::zeros({2, channels});
  affine.slice(0, 1).fill(1);
  if (nn::BatchNorm2d* bn = node.batch_norm; bn != nullptr && !bn->folded())
    affine = ops::batchnorm_affine({}, bn->gamma, bn->beta, bn->state, false, bn->folds_while_training()).value();
  if (const Variable bias = nn::folded_bias_of(*node.layer); bias.defined())
    for (std::int64_t c = 0; c < channels; ++c)
      affine.data<float>()[channels + c] += bias.value().data<float>()[c] * affine.data<float>()[c];
  return affine;
}

}  // namespace octet::quant
