#include "kernels/dwconv2d_int8/windows.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace octet::kernels {
namespace {

struct Header {
  std::int64_t row_runs, col_runs, blocks, block_bytes, classes_at, blocks_at;
};

std::int64_t align64(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

std::vector<DwRun> runs_of(std::int64_t out, std::int64_t in, std::int64_t taps, std::int64_t stride,
                           std::int64_t pad) {
  std::vector<DwRun> runs;
  for (std::int64_t x = 0; x < out; ++x) {
    const std::int64_t left = x * stride - pad, first = std::clamp<std::int64_t>(-left, 0, taps);
    const std::int64_t last = std::clamp<std::int64_t>(in - left, first, taps);
    if (!runs.empty() && runs.back().first == first && runs.back().last == last)
      runs.back().end = x + 1;
    else
      runs.push_back({x, x + 1, first, last});
  }
  return runs;
}

struct Plan {
  std::vector<DwRun> rows, cols;
  std::vector<std::int64_t> classes;
  Header header;
};

Plan plan_of(const ConvGeometry& g, const DwLanes& lanes) {
  Plan plan;
  plan.rows = runs_of(g.out_h(), g.h, g.r, g.stride_h, g.pad_h);
  plan.cols = runs_of(g.out_w(), g.w, g.s, g.stride_w, g.pad_w);
  std::int64_t at = 8 * lanes.channels;
  for (const DwRun& row : plan.rows) {
    for (const DwRun& col : plan.cols) {
      const std::int64_t taps = (row.last - row.first) * (col.last - col.first);
      plan.classes.push_back(at);
      at += 4 * lanes.channels + (taps + lanes.taps - 1) / lanes.taps * lanes.taps * lanes.channels *
                                     static_cast<std::int64_t>(lanes.element);
    }
  }
  Header& h = plan.header;
  h.row_runs = static_cast<std::int64_t>(plan.rows.size()), h.col_runs = static_cast<std::int64_t>(plan.cols.size());
  h.blocks = (g.c + lanes.channels - 1) / lanes.channels;
  h.block_bytes = align64(at);
  h.classes_at =
      static_cast<std::int64_t>(sizeof(Header)) + (h.row_runs + h.col_runs) * static_cast<std::int64_t>(sizeof(DwRun));
  h.blocks_at = align64(h.classes_at + h.row_runs * h.col_runs * static_cast<std::int64_t>(sizeof(std::int64_t)));
  return plan;
}

void put(char* group, std::size_t element, std::int64_t index, std::int8_t value) {
  if (element == 1)
    reinterpret_cast<std::int8_t*>(group)[index] = value;
  else
    reinterpret_cast<std::int16_t*>(group)[index] = value;
}

/// One lane of one class.
void pack_class(const DwRun& row, const DwRun& col, const ConvGeometry& g, const DwLanes& lanes,
                const std::int8_t* weight, std::int32_t q_b, std::int32_t zero, std::int64_t lane, char* to) {
  std::uint32_t sum = 0;
  std::int64_t t = 0;
  char* groups = to + 4 * lanes.channels;
  const std::int64_t group_bytes = lanes.channels * lanes.taps * static_cast<std::int64_t>(lanes.element);
  for (std::int64_t r = row.first; r < row.last; ++r) {
    for (std::int64_t s = col.first; s < col.last; ++s, ++t) {
      const std::int8_t w = weight[r * g.s + s];
      put(groups + t / lanes.taps * group_bytes, lanes.element, lane * lanes.taps + t % lanes.taps, w);
      sum += static_cast<std::uint32_t>(std::int32_t{w});
    }
  }
  const std::uint32_t bias = static_cast<std::uint32_t>(q_b) - static_cast<std::uint32_t>(zero) * sum;
  reinterpret_cast<std::int32_t*>(to)[lane] = static_cast<std::int32_t>(bias);
}

}  // namespace

std::size_t dw_windows_bytes(const ConvGeometry& geometry, const DwLanes& lanes) {
  const Header h = plan_of(geometry, lanes).header;
  return static_cast<std::size_t>(h.blocks_at + h.blocks * h.block_bytes);
}

void pack_dw_windows(const IntConvProblem& problem, const DwLanes& lanes, const IntConvWeights& weights,
                     std::int32_t zero, void* packed) {
  const ConvGeometry& g = problem.geometry;
  const Plan plan = plan_of(g, lanes);
  const Header& h = plan.header;
  auto* base = static_cast<char*>(packed);
  std::memset(base, 0, static_cast<std::size_t>(h.blocks_at + h.blocks * h.block_bytes));
  std::memcpy(base, &h, sizeof h);
  auto* runs = reinterpret_cast<DwRun*>(base + sizeof h);
  std::copy(plan.cols.begin(), plan.cols.end(), std::copy(plan.rows.begin(), plan.rows.end(), runs));
  std::copy(plan.classes.begin(), plan.classes.end(), reinterpret_cast<std::int64_t*>(base + h.classes_at));
  for (std::int64_t lane = 0; lane < h.blocks * lanes.channels; ++lane) {
    const std::int64_t i = lane % lanes.channels, c = lane - i + lanes.channel_of[i];
    if (c >= g.c) continue;
    char* block = base + h.blocks_at + lane / lanes.channels * h.block_bytes;
    reinterpret_cast<float*>(block)[i] = weights.multiplier[c];
    reinterpret_cast<float*>(block)[lanes.channels + i] = weights.bias_f32 == nullptr ? -0.0f : weights.bias_f32[c];
    const std::int32_t q_b = weights.bias == nullptr ? 0 : weights.bias[c];
    for (std::size_t k = 0; k < plan.classes.size(); ++k)
      pack_class(plan.rows[k / plan.cols.size()], plan.cols[k % plan.cols.size()], g, lanes,
                 weights.weight + c * g.r * g.s, q_b, zero, i, block + plan.classes[k]);
  }
}

DwWindows dw_windows(const void* packed) {
  const auto* base = static_cast<const char*>(packed);
  Header h;
  std::memcpy(&h, base, sizeof h);
  const auto* rows = reinterpret_cast<const DwRun*>(base + sizeof h);
  return {h.row_runs,
          h.col_runs,
          h.blocks,
          static_cast<std::size_t>(h.block_bytes),
          rows,
          rows + h.row_runs,
          reinterpret_cast<const std::int64_t*>(base + h.classes_at),
          base + h.blocks_at};
}

}  // namespace octet::kernels
