#include "kernels/conv2d_int8/cuda_store.h"
#include "kernels/conv2d_int8/device_row.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::kernels {
namespace {

using Byte = std::uint8_t;

/// Panels of four channels; weights [panel][filter row][group of four taps of it][channel][tap], so that a dp4a does
/// four taps of a channel.
PackedLayout layout_of(const IntConvProblem& p) {
  return packed_layout(p.geometry.k, p.geometry.r * p.geometry.s, 4, 4, sizeof(std::int8_t), p.geometry.r);
}

struct Layer {
  ConvGeometry g;
  int out_h, out_w, panels, runs;  ///< panels of channels; runs of outputs in an output row
  unsigned flip, padding;
  PackedView constants;
  IntStore store;
  int row_groups;  ///< of a filter row
};

/// Four words of codes, a word for each tap, to a word for each channel.
__device__ __forceinline__ void transpose(unsigned (&w)[4]) {
  const unsigned low01 = __byte_perm(w[0], w[1], 0x5140), low23 = __byte_perm(w[2], w[3], 0x5140);
  const unsigned high01 = __byte_perm(w[0], w[1], 0x7362), high23 = __byte_perm(w[2], w[3], 0x7362);
  w[0] = __byte_perm(low01, low23, 0x5410), w[1] = __byte_perm(low01, low23, 0x7632);
  w[2] = __byte_perm(high01, high23, 0x5410), w[3] = __byte_perm(high01, high23, 0x7632);
}

/// Adds four taps from column `left` on, of four channels. `row` points at the panel's codes in column 0, null outside
/// the picture.
template <bool kWhole>
__device__ __forceinline__ void add_taps(const Layer& l, const Byte* row, int left, const gpu::Pack<int, 4>& weight,
                                         int channels, int (&sum)[4]) {
  unsigned words[4];
  for (int t = 0; t < 4; ++t) {
    const int x = left + t;
    const bool inside = row != nullptr && x >= 0 && x < static_cast<int>(l.g.w);
    words[t] = inside
                   ? load_codes<kWhole>(row + static_cast<std::size_t>(x) * static_cast<std::size_t>(l.g.c), channels)
                   : l.padding;
    words[t] ^= l.flip;
  }
  transpose(words);
  for (int c = 0; c < 4; ++c) sum[c] = __dp4a(static_cast<int>(words[c]), weight.at[c], sum[c]);
}

/// A thread computes kRun neighbouring outputs of four channels. Taps of zero weight behind a filter row read what is
/// there.
template <int kRun, class To, bool kWhole>
__global__ void depthwise(const Byte* src, To* dst, Layer l, std::size_t threads) {
  OCTET_GRID_LOOP(thread, threads) {
    const auto panel = static_cast<int>(thread % static_cast<unsigned>(l.panels));
    const std::size_t item = thread / static_cast<unsigned>(l.panels), line = item / static_cast<unsigned>(l.runs);
    const int first = static_cast<int>(item % static_cast<unsigned>(l.runs)) * kRun;
    const std::size_t n = line / static_cast<unsigned>(l.out_h);
    const int top = static_cast<int>(line % static_cast<unsigned>(l.out_h)) * static_cast<int>(l.g.stride_h) -
                    static_cast<int>(l.g.pad_h);
    const int left = first * static_cast<int>(l.g.stride_w) - static_cast<int>(l.g.pad_w), h = static_cast<int>(l.g.h);
    const auto c = static_cast<std::size_t>(l.g.c), k = static_cast<std::size_t>(panel) * 4;
    const int channels = static_cast<int>(c - k < 4 ? c - k : 4), rows = static_cast<int>(l.g.r);
    const int* weight = static_cast<const int*>(l.constants.weight) + k * static_cast<unsigned>(rows * l.row_groups);
    int sum[kRun][4] = {};
    for (int r = 0; r < rows; ++r) {
      const bool inside = top + r >= 0 && top + r < h;
      const Byte* row = inside ? src +
                                     (n * static_cast<std::size_t>(h) + static_cast<std::size_t>(top + r)) *
                                         static_cast<std::size_t>(l.g.w) * c +
                                     k
                               : nullptr;
      for (int group = 0; group < l.row_groups; ++group, weight += 4) {
        const gpu::Pack<int, 4> w = gpu::load_pack<4>(weight, 0);
#pragma unroll
        for (int i = 0; i < kRun; ++i)
          add_taps<kWhole>(l, row, left + i * static_cast<int>(l.g.stride_w) + 4 * group, w, channels, sum[i]);
      }
    }
    const StoreConstants constants(l.constants, k);
#pragma unroll
    for (int i = 0; i < kRun; ++i)
      if (first + i < l.out_w)
        store_four<To, kWhole>(
            l.store, sum[i], constants,
            dst + (line * static_cast<std::size_t>(l.out_w) + static_cast<std::size_t>(first + i)) * c + k, channels);
  }
}

template <int kRun, class To, bool kWhole>
void launch(const IntConvPointers& x, Layer layer, void* stream) {
  layer.runs = (layer.out_w + kRun - 1) / kRun;
  const std::size_t threads = static_cast<std::size_t>(layer.g.n) * static_cast<std::size_t>(layer.out_h) *
                              static_cast<std::size_t>(layer.runs) * static_cast<std::size_t>(layer.panels);
  // Small maps have few threads: in small blocks they reach more multiprocessors.
  constexpr unsigned kProcessors = 132, kSmall = 64;
  const bool few = threads < std::size_t{kProcessors} * gpu::kLoopThreads;
  const unsigned block = few ? kSmall : gpu::kLoopThreads;
  const unsigned blocks = few ? static_cast<unsigned>((threads + kSmall - 1) / kSmall) : gpu::loop_blocks(threads);
  OCTET_LAUNCH((depthwise<kRun, To, kWhole>), blocks, block, stream, static_cast<const Byte*>(x.src),
               static_cast<To*>(x.dst), layer, threads);
}

template <class To>
void run_as(const IntConvProblem& p, const IntConvPointers& x, void* stream) {
  const ConvGeometry& g = p.geometry;
  const PackedLayout packed = layout_of(p);
  const Layer layer{g,
                    static_cast<int>(g.out_h()),
                    static_cast<int>(g.out_w()),
                    static_cast<int>(packed.columns_padded / 4),
                    0,
                    flip_of(p),
                    padding_of(p),
                    packed_view(packed, x.packed),
                    p.store,
                    static_cast<int>(packed.segment_groups)};
  const auto c = static_cast<std::size_t>(g.c);
  const bool whole = gpu::packable(c, 4, 4, {x.src}) && gpu::packable(c, 4, 4 * sizeof(To), {x.dst});
  // Outputs that share weights, where enough threads are left.
  constexpr std::int64_t kEnough = std::int64_t{1} << 17;
  const bool many = g.out_pixels() * layer.panels / 4 >= kEnough && g.out_w() >= 4;
  if (!whole) return launch<1, To, false>(x, layer, stream);
  many ? launch<4, To, true>(x, layer, stream) : launch<1, To, true>(x, layer, stream);
}

void run(const IntConvProblem& p, const IntConvPointers& x, void* stream) {
  p.store.dst == DType::f32 ? run_as<float>(p, x, stream) : run_as<Byte>(p, x, stream);
}

/// Columns and taps are counted in int.
const char* refused(const IntConvProblem& p) {
  const ConvGeometry& g = p.geometry;
  return (g.r + 1) * (g.s + 4) > (1 << 24) || g.k > (1 << 30) ? "a filter beyond 2^24 taps" : nullptr;
}

}  // namespace

OCTET_INT_CONV_DEVICE_ROW(dwconv2d_int8_fwd_u8s8)
OCTET_INT_CONV_DEVICE_ROW(dwconv2d_int8_fwd_s8s8)

}  // namespace octet::kernels
