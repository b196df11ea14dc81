#include "quant/qat.h"

#include "core/error.h"
#include "quant/engine/graph_file.h"

namespace octet::quant {

void require_trainable(const QuantConfig& config) {
  const auto refuse = [](const std::string& option) {
    fail("qat", option + " is for nets that are not fine-tuned",
         "leave it off: training moves weights and biases itself; or use ptq");
  };
  if (config.bias_correction != BiasCorrection::none)
    refuse(fmt::format("bias_correction {}", name_of(config.bias_correction)));
  if (config.adaround_steps > 0) refuse(fmt::format("adaround_steps {}", config.adaround_steps));
}

Qat::Qat(QuantConfig config) : config_(std::move(config)) {
  config_.check();
  require_trainable(config_);
}

void Qat::quantize(nn::Module& net, const Shape& shape) {
  prepare(net, shape, config_);
  shape_ = shape;
}

engine::Graph Qat::convert(nn::Module& net, ConvertReport* report) const {
  return quant::convert(net, shape_, config_, report);
}

void Qat::save_quantized_model(nn::Module& net, const std::string& path) const {
  engine::save_graph(path, convert(net));
}

}  // namespace octet::quant
