#include "kernels/conv2d_int8/packed.h"

#include <algorithm>
#include <cstring>

#include "core/parallel.h"

namespace octet::kernels {
namespace {

std::size_t align64(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// One column of a panel: its groups lie a panel apart.
template <class Element, std::int64_t kGroup>
void pack_column(const PackedLayout& l, const std::int8_t* weight, Element* out) {
  const std::int64_t length = l.depth / l.segments, whole = length / kGroup, step = l.panel * kGroup;
  for (std::int64_t segment = 0; segment < l.segments; ++segment, weight += length % kGroup) {
    for (std::int64_t g = 0; g < whole; ++g, weight += kGroup, out += step)
      for (std::int64_t i = 0; i < kGroup; ++i) out[i] = weight[i];
    if (length % kGroup == 0) continue;
    for (std::int64_t i = 0; i < kGroup; ++i) out[i] = i < length % kGroup ? weight[i] : Element(0);
    out += step;
  }
}

template <class Element, std::int64_t kGroup>
void pack_weight(const PackedLayout& l, const std::int8_t* weight, Element* out) {
  parallel_for(l.columns_padded / l.panel, [&](std::int64_t panel) {
    Element* to = out + panel * l.panel * l.depth_padded;
    const std::int64_t first = panel * l.panel, columns = std::min(l.columns - first, l.panel);
    if (columns < l.panel) std::fill(to, to + l.panel * l.depth_padded, Element(0));
    for (std::int64_t k = 0; k < columns; ++k)
      pack_column<Element, kGroup>(l, weight + (first + k) * l.depth, to + k * kGroup);
  });
}

}  // namespace

PackedLayout packed_layout(std::int64_t columns, std::int64_t depth, std::int64_t panel, std::int64_t group,
                           std::size_t element, std::int64_t segments) {
  PackedLayout l;
  l.depth = depth;
  l.segments = segments;
  l.segment_groups = (depth / segments + group - 1) / group;
  l.depth_padded = segments * l.segment_groups * group;
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
  std::memset(base, 0, l.weight);
  auto* bias = reinterpret_cast<std::int32_t*>(base);
  auto* multiplier = reinterpret_cast<float*>(base + l.multiplier);
  auto* bias_f32 = reinterpret_cast<float*>(base + l.bias_f32);
  for (std::int64_t k = 0; k < l.columns; ++k) {
    const std::int32_t q_b = weights.bias == nullptr ? 0 : weights.bias[k];
    bias[k] = zero == 0 ? q_b : folded_bias(weights.weight + k * l.depth, l.depth, zero, q_b);
    multiplier[k] = weights.multiplier[k];
    bias_f32[k] = weights.bias_f32 == nullptr ? -0.0f : weights.bias_f32[k];
  }
  char* weight = base + l.weight;
  if (element == 1 && l.group == 4)
    pack_weight<std::int8_t, 4>(l, weights.weight, reinterpret_cast<std::int8_t*>(weight));
  else if (element == 1)
    pack_weight<std::int8_t, 1>(l, weights.weight, reinterpret_cast<std::int8_t*>(weight));
  else
    pack_weight<std::int16_t, 2>(l, weights.weight, reinterpret_cast<std::int16_t*>(weight));
}

std::int32_t folded_bias(const std::int8_t* weight, std::int64_t depth, std::int32_t zero, std::int32_t bias) {
  std::uint32_t sum = 0;
  for (std::int64_t d = 0; d < depth; ++d) sum += static_cast<std::uint32_t>(weight[d]);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) - static_cast<std::uint32_t>(zero) * sum);
}

std::int64_t conv_depth(const ConvGeometry& geometry) { return geometry.r * geometry.s * geometry.c; }

}  // namespace octet::kernels
