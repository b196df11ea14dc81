#include "kernels/dwconv2d_int8/packed.h"

#include <algorithm>
#include <cstring>

#include "kernels/conv2d_int8/packed.h"

namespace octet::kernels {
namespace {

/// Codes that a task computes at least, where a picture has them.
constexpr std::int64_t kTaskCodes = 32768;

std::size_t align64(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

void put(char* group, std::size_t element, std::int64_t index, std::int8_t value) {
  if (element == 1)
    reinterpret_cast<std::int8_t*>(group)[index] = value;
  else
    reinterpret_cast<std::int16_t*>(group)[index] = value;
}

}  // namespace

DwLayout dw_layout(const ConvGeometry& g, std::int64_t channels, std::int64_t taps, std::size_t element) {
  DwLayout l;
  l.channels = channels;
  l.taps = taps;
  l.element = element;
  l.blocks = (g.c + channels - 1) / channels;
  l.row_groups = (g.r + taps - 1) / taps;
  l.group_bytes = static_cast<std::size_t>(channels * taps) * element;
  l.weight = align64(static_cast<std::size_t>(channels) * 12);
  l.block_bytes = align64(l.weight + static_cast<std::size_t>(g.s * l.row_groups) * l.group_bytes);
  return l;
}

void pack_depthwise(const IntConvProblem& problem, const DwLayout& l, const std::uint8_t* channel_of,
                    const IntConvWeights& weights, std::int32_t zero, void* packed) {
  const ConvGeometry& g = problem.geometry;
  std::memset(packed, 0, static_cast<std::size_t>(l.blocks) * l.block_bytes);
  for (std::int64_t lane = 0; lane < l.blocks * l.channels; ++lane) {
    const std::int64_t block = lane / l.channels, i = lane % l.channels;
    const std::int64_t c = block * l.channels + channel_of[i];
    if (c >= g.c) continue;
    char* base = static_cast<char*>(packed) + static_cast<std::size_t>(block) * l.block_bytes;
    const std::int8_t* weight = weights.weight + c * g.r * g.s;
    const std::int32_t q_b = weights.bias == nullptr ? 0 : weights.bias[c];
    reinterpret_cast<std::int32_t*>(base)[i] = folded_bias(weight, g.r * g.s, zero, q_b);
    reinterpret_cast<float*>(base)[l.channels + i] = weights.multiplier[c];
    reinterpret_cast<float*>(base)[2 * l.channels + i] = weights.bias_f32 == nullptr ? -0.0f : weights.bias_f32[c];
    for (std::int64_t r = 0; r < g.r; ++r) {
      for (std::int64_t s = 0; s < g.s; ++s) {
        char* group = base + l.weight + static_cast<std::size_t>(s * l.row_groups + r / l.taps) * l.group_bytes;
        put(group, l.element, i * l.taps + r % l.taps, weight[r * g.s + s]);
      }
    }
  }
}

DwWork dw_work(const ConvGeometry& g) {
  DwWork work;
  work.out_h = g.out_h();
  work.out_w = g.out_w();
  work.task_rows = std::clamp<std::int64_t>(kTaskCodes / (work.out_w * g.c), 1, work.out_h);
  work.tasks_per_picture = (work.out_h + work.task_rows - 1) / work.task_rows;
  if (work.tasks_per_picture == 1)
    work.task_pictures = std::max<std::int64_t>(kTaskCodes / (work.out_h * work.out_w * g.c), 1);
  work.tasks = (g.n + work.task_pictures - 1) / work.task_pictures * work.tasks_per_picture;
  work.columns = (work.out_w - 1) * g.stride_w + g.s;
  return work;
}

}  // namespace octet::kernels
