#include "quant/qat.h"

#include "quant/engine/graph_file.h"

namespace octet::quant {

Qat::Qat(QuantConfig config) : config_(std::move(config)) { config_.check(); }

void Qat::quantize(nn::Module& net, const Shape& shape) {
  prepare(net, shape, config_);
  shape_ = shape;
}

engine::Graph Qat::convert(nn::Module& net, ConvertReport* report) const { return quant::convert(net, shape_, config_, report); }

void Qat::save_quantized_model(nn::Module& net, const std::string& path) const { engine::save_graph(path, convert(net)); }

}  // namespace octet::quant
