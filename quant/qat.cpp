#include "quant/qat.h"

#include "core/error.h"
#include "quant/engine/graph_file.h"

namespace octet::quant {

void require_trainable(const QuantConfig& config) {
  if (config.bias_correction != BiasCorrection::none)
    fail("qat", fmt::format("bias_correction {} is for nets that are not fine-tuned", name_of(config.bias_correction)),
         "leave it off: training corrects biases itself; or use ptq");
}

Qat::Qat(QuantConfig config) : config_(std::move(config)) {
  config_.check();
  require_trainable(config_);
}

void Qat::quantize(nn::Module& net, const Shape& shape) {
  prepare(net, shape, config_);
  shape_ = shape;
}

engine::Graph Qat::convert(nn::Module& net, ConvertReport* report) const { return quant::convert(net, shape_, config_, report); }

void Qat::save_quantized_model(nn::Module& net, const std::string& path) const { engine::save_graph(path, convert(net)); }

}  // namespace octet::quant
