#include "quant/analysis/packed_size.h"

#include <gtest/gtest.h>

#include "nn/models.h"
#include "quant/prepare.h"

namespace octet::quant {
namespace {

std::uint64_t by_hand(const nn::Module& net, int bits, int first_last_bits, bool quantizes_linear) {
  std::uint64_t bytes = 0;
  for (const auto& [name, parameter] : net.named_parameters()) {
    if (!name.ends_with(".weight")) continue;
    const bool is_end = name == "conv1.conv.weight" || name == "fc.weight";
    const int own = name == "fc.weight" && !quantizes_linear ? 32 : is_end ? first_last_bits : bits;
    bytes += static_cast<std::uint64_t>(parameter.value().numel() * own + 7) / 8 +
             8 * static_cast<std::uint64_t>(parameter.shape()[0]);
  }
  return bytes;
}

TEST(PackedBytes, AreBitsOfTheGrids) {
  for (int bits = 2; bits <= 8; ++bits) {
    QuantConfig config;
    config.weight_bits = bits, config.first_last_bits = 8;
    const auto net = nn::mobilenet_v1({.scale = 0.25});
    prepare(*net, {1, 32, 32, 3}, config);
    EXPECT_EQ(packed_bytes(*net), by_hand(*net, bits, 8, true)) << bits;
  }
}

TEST(PackedBytes, FloatsTakeFour) {
  const auto net = nn::mobilenet_v1({.scale = 0.25});
  EXPECT_EQ(packed_bytes(*net), by_hand(*net, 32, 32, true));
  QuantConfig config;
  config.weight_bits = 3, config.quantizable_layer_type = {"Conv2D"};
  prepare(*net, {1, 32, 32, 3}, config);
  EXPECT_EQ(packed_bytes(*net), by_hand(*net, 3, 3, false));
}

}  // namespace
}  // namespace octet::quant
