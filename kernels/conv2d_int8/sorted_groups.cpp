#include "kernels/conv2d_int8/sorted_groups.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/parallel.h"
#include "kernels/conv2d_int8/gemm_work.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kPanel = 16, kGroup = 4;

std::int64_t groups_of(const PackedLayout& l) { return l.depth_padded / l.group; }

/// 255·(|a| + |b|) of a pair fits s16 when |a| + |b| <= 128.
bool saturates(const std::int8_t* group, std::int64_t bytes) {
  int worst = 0;
  for (std::int64_t i = 0; i + 1 < bytes; i += 2) {
    const int sum = std::abs(group[i]) + std::abs(group[i + 1]);
    worst = sum > worst ? sum : worst;
  }
  return worst > 128;
}

void sort_panel(const PackedLayout& l, std::int64_t segment_stride, std::int8_t* weight, std::int32_t* order) {
  const std::int64_t groups = groups_of(l), bytes = l.panel * l.group;
  const std::int64_t whole = l.segments == 1 ? l.depth / l.group : groups;
  std::vector<std::int8_t> late;
  std::vector<std::int32_t> late_order;
  std::int64_t safe = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    std::int8_t* group = weight + g * bytes;
    const auto begin =
        static_cast<std::int32_t>(g / l.segment_groups * segment_stride + g % l.segment_groups * l.group);
    if (g >= whole || saturates(group, bytes)) {
      late.insert(late.end(), group, group + bytes);
      late_order.push_back(begin);
      continue;
    }
    if (safe < g) std::memcpy(weight + safe * bytes, group, static_cast<std::size_t>(bytes));
    order[1 + safe++] = begin;
  }
  order[0] = static_cast<std::int32_t>(safe);
  if (late.empty()) return;
  std::memcpy(weight + safe * bytes, late.data(), late.size());
  std::memcpy(order + 1 + safe, late_order.data(), late_order.size() * sizeof(std::int32_t));
}

}  // namespace

bool narrow_weights(const ConvGeometry& geometry, const std::int8_t* weight) {
  const std::int64_t length = geometry.s * geometry.c, depth = conv_depth(geometry);
  const std::int64_t panels = (geometry.k + kPanel - 1) / kPanel;
  const std::int64_t most = panels * geometry.r * ((length + kGroup - 1) / kGroup) / 4;
  std::int64_t wide = 0;
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    const std::int64_t last = std::min((panel + 1) * kPanel, geometry.k);
    for (std::int64_t d = 0; d < depth; d += length)
      for (std::int64_t i = 0; i < length; i += kGroup) {
        std::int64_t k = panel * kPanel;
        while (k < last && !saturates(weight + k * depth + d + i, std::min(kGroup, length - i))) ++k;
        if (k < last && ++wide > most) return false;
      }
  }
  return true;
}

bool places_fit(const ConvGeometry& geometry) { return geometry.r * line_elements(geometry, kGroup) <= INT32_MAX; }

std::size_t sorted_bytes(const PackedLayout& l) {
  return l.bytes + static_cast<std::size_t>(l.columns_padded / l.panel * (1 + groups_of(l))) * sizeof(std::int32_t);
}

void sort_groups(const PackedLayout& l, std::int64_t segment_stride, void* packed) {
  char* base = static_cast<char*>(packed);
  auto* weight = reinterpret_cast<std::int8_t*>(base + l.weight);
  auto* order = reinterpret_cast<std::int32_t*>(base + l.bytes);
  parallel_for(l.columns_padded / l.panel, [&](std::int64_t panel) {
    sort_panel(l, segment_stride, weight + panel * l.panel * l.depth_padded, order + panel * (1 + groups_of(l)));
  });
}

const std::int32_t* group_order(const PackedLayout& l, const void* packed, std::int64_t panel) {
  return reinterpret_cast<const std::int32_t*>(static_cast<const char*>(packed) + l.bytes) + panel * (1 + groups_of(l));
}

}  // namespace octet::kernels
