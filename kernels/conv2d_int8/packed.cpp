#include "kernels/conv2d_int8/packed.h"

#include <cstring>

namespace octet::kernels {
namespace {

std::size_t align64(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

template <class Element>
void pack_weight(const PackedLayout& l, const std::int8_t* weight, Element* out) {
  for (std::int64_t k = 0; k < l.columns; ++k) {
    Element* column = out + k / l.panel * l.panel * l.depth_padded + k % l.panel * l.group;
    for (std::int64_t d = 0; d < l.depth; ++d)
      column[d / l.group * l.panel * l.group + d % l.group] = weight[k * l.depth + d];
  }
}

}  // namespace

PackedLayout packed_layout(std::int64_t columns, std::int64_t depth, std::int64_t panel, std::int64_t group,
                           std::size_t element) {
  PackedLayout l;
  l.depth = depth;
  l.depth_padded = (depth + group - 1) / group * group;
  l.columns = columns;
  l.columns_padded = (columns + panel - 1) / panel * panel;
  l.panel = panel;
  l.group = group;
  const std::size_t constants = align64(static_cast<std::size_t>(l.columns_padded) * 4);
  l.multiplier = constants;
  l.bias_f32 = 2 * constants;
  l.weight = 3 * constants;
  l.bytes = l.weight + align64(static_cast<std::size_t>(l.columns_padded * l.depth_padded) * element);
  return l;
}

PackedView packed_view(const PackedLayout& l, const void* packed) {
  const char* base = static_cast<const char*>(packed);
  return {reinterpret_cast<const std::int32_t*>(base), reinterpret_cast<const float*>(base + l.multiplier),
          reinterpret_cast<const float*>(base + l.bias_f32), base + l.weight};
}

void pack_columns(const PackedLayout& l, std::size_t element, const IntConvWeights& weights, std::int32_t zero,
                  void* packed) {
  char* base = static_cast<char*>(packed);
  std::memset(base, 0, l.bytes);
  auto* bias = reinterpret_cast<std::int32_t*>(base);
  auto* multiplier = reinterpret_cast<float*>(base + l.multiplier);
  auto* bias_f32 = reinterpret_cast<float*>(base + l.bias_f32);
  for (std::int64_t k = 0; k < l.columns; ++k) {
    const std::int32_t q_b = weights.bias == nullptr ? 0 : weights.bias[k];
    bias[k] = folded_bias(weights.weight + k * l.depth, l.depth, zero, q_b);
    multiplier[k] = weights.multiplier[k];
    bias_f32[k] = weights.bias_f32 == nullptr ? -0.0f : weights.bias_f32[k];
  }
  if (element == 1)
    pack_weight(l, weights.weight, reinterpret_cast<std::int8_t*>(base + l.weight));
  else
    pack_weight(l, weights.weight, reinterpret_cast<std::int16_t*>(base + l.weight));
}

std::int32_t folded_bias(const std::int8_t* weight, std::int64_t depth, std::int32_t zero, std::int32_t bias) {
  std::uint32_t sum = 0;
  for (std::int64_t d = 0; d < depth; ++d) sum += static_cast<std::uint32_t>(weight[d]);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) - static_cast<std::uint32_t>(zero) * sum);
}

std::int64_t conv_depth(const ConvGeometry& geometry) { return geometry.r * geometry.s * geometry.c; }

}  // namespace octet::kernels
