#include "quant/analysis/packed_size.h"

#include <bit>

#include "nn/layers.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {
namespace {

std::uint64_t bits_of_weight(const nn::Module& layer, const Tensor& weight) {
  constexpr std::uint64_t kFloat = 32;
  const FakeQuantizer* quantizer = quantizer_in(layer, "weight_transform");
  if (quantizer == nullptr) return kFloat;
  const auto grid = quantizer->params_for(weight);
  if (!grid) return kFloat;
  return static_cast<std::uint64_t>(std::bit_width(static_cast<std::uint32_t>(grid->hi - grid->lo)));
}

}  // namespace

std::uint64_t packed_bytes(const nn::Module& model) {
  constexpr std::uint64_t kChannel = 4 + 4;
  std::uint64_t bytes = 0;
  for (const auto& [path, module] : model.named_modules()) {
    if (dynamic_cast<const nn::Conv2d*>(module) == nullptr && dynamic_cast<const nn::Linear*>(module) == nullptr)
      continue;
    const Tensor& weight = nn::weight_of(*module).value();
    const auto count = static_cast<std::uint64_t>(weight.numel()),
               channels = static_cast<std::uint64_t>(weight.shape()[0]);
    bytes += (count * bits_of_weight(*module, weight) + 7) / 8 + channels * kChannel;
  }
  return bytes;
}

}  // namespace octet::quant
