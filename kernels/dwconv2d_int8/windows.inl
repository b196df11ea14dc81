// The integer depthwise convolution by windows: every output loads the taps that lie inside the picture, kTaps of them
// to a group, and multiplies them with the constants of its class (windows.h). Included by a file that defines, in
// octet::kernels' unnamed namespace:
//   kChannels = kVectors · VecI::width channels of a block, kTaps, Weight, kLaneChannel.of[kChannels]
//   Bytes, load_codes(p), load_codes(p, channels)        a block's codes of a pixel; nothing beyond `channels` is read
//   interleave<Signed>(taps[kTaps], groups[kVectors])    groups of kTaps codes in s32 lanes
//   dot(acc, x, w)                                       acc + Σ x·w of a lane's group, modulo 2^32
//   store_codes(codes[kVectors], dst, channels),
//   store_floats(values[kVectors], dst, channels)        in the order of channels
#include "core/parallel.h"
#include "kernels/dwconv2d_int8/packed.h"
#include "kernels/dwconv2d_int8/windows.h"

namespace octet::kernels {
namespace {

/// Blocks that go through the pictures together, so that a line of the cache is used up when it is there.
constexpr std::int64_t kBlocksAbreast = kChannels >= 64 ? 1 : 64 / kChannels;

constexpr DwLanes kLanes{kChannels, kTaps, sizeof(Weight), kLaneChannel.of};

/// An axis of the outputs that share a class: how many, and the bytes from one to the next in src and in dst.
struct WindowAxis {
  std::int64_t count, src, dst;
};
OCTET_SIMD void swap_axes(WindowAxis& a, WindowAxis& b) {
  const WindowAxis t = a;
  a = b, b = t;
}
/// Outputs of one class and block: those of some pictures.
struct WindowRun {
  const std::uint8_t* src;  ///< the first output's first tap inside
  std::int64_t pixel, row;  ///< bytes from a tap to the next, and to the one below
  std::int64_t rows, cols;  ///< taps inside
  WindowAxis pictures, down, right;
  const char *block, *of_class;
  void* dst;
  std::int64_t index;  ///< of the first output's first code in dst
  int channels;
  bool from_zero;  ///< the smallest code and the zero point are 0
};

/// f(src, index) for every output.
template <class F>
OCTET_SIMD void for_windows(const WindowRun& run, F f) {
  for (std::int64_t n = 0; n < run.pictures.count; ++n)
    for (std::int64_t y = 0; y < run.down.count; ++y) {
      const std::uint8_t* src = run.src + n * run.pictures.src + y * run.down.src;
      std::int64_t index = run.index + n * run.pictures.dst + y * run.down.dst;
      for (std::int64_t x = 0; x < run.right.count; ++x, src += run.right.src, index += run.right.dst) f(src, index);
    }
}

/// The constants of a store.
struct WindowStore {
  VecF multiplier[kVectors], bias[kVectors];
};
OCTET_SIMD WindowStore load_store(const char* block) {
  WindowStore s;
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const float* at = reinterpret_cast<const float*>(block) + v * VecF::width;
    s.multiplier[v] = VecF::load(at), s.bias[v] = VecF::load(at + kChannels);
  }
  return s;
}

template <StoreKind K>
OCTET_SIMD void store_window(const VectorStore& s, const VecI (&acc)[kVectors], const WindowStore& of, void* dst,
                             std::int64_t index, int channels) {
  if constexpr (K == StoreKind::floats) {
    VecF values[kVectors];
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v) values[v] = floats_of(s, acc[v], of.multiplier[v], of.bias[v]);
    store_floats(values, static_cast<float*>(dst) + index, channels);
  } else {
    VecI codes[kVectors];
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v) codes[v] = codes_of<K>(s, acc[v], of.multiplier[v], of.bias[v]);
    store_codes<true>(codes, static_cast<std::uint8_t*>(dst) + index, channels);
  }
}

/// Codes of the onnx rule from zero up around zero: the pack saturates below. INT_MIN, which stands for what no int32
/// holds, can only come from below there.
OCTET_SIMD void store_from_zero(const VectorStore& s, const VecI (&acc)[kVectors], const WindowStore& of, void* dst,
                                std::int64_t index) {
  VecI codes[kVectors];
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) codes[v] = to_int_even(min(s.hi, to_float(acc[v]) * of.multiplier[v]));
  store_codes<false>(codes, static_cast<std::uint8_t*>(dst) + index, kChannels);
}

template <bool Signed>
OCTET_SIMD void add_group(const Bytes (&taps)[kTaps], const VecI (&weight)[kVectors], VecI (&acc)[kVectors]) {
  VecI x[kVectors];
  interleave<Signed>(taps, x);
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) acc[v] = dot(acc[v], x[v], weight[v]);
}
OCTET_SIMD void load_lanes(const char* p, VecI (&to)[kVectors]) {
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) to[v] = VecI::load(reinterpret_cast<const std::int32_t*>(p) + v * VecI::width);
}
constexpr std::int64_t kGroupBytes = kVectors * static_cast<std::int64_t>(sizeof(VecI));  // the bias takes as much

/// Any window, any number of channels.
template <bool Signed, StoreKind K>
void sum_any_window(const VectorStore& store, const WindowRun& run) {
  const std::int64_t taps = run.rows * run.cols;
  const WindowStore constants = load_store(run.block);
  for_windows(run, [&](const std::uint8_t* tap, std::int64_t index) {
    VecI acc[kVectors], weight[kVectors];
    load_lanes(run.of_class, acc);
    for (std::int64_t t = 0, col = 0; t < taps; t += kTaps) {
      Bytes x[kTaps];
      for (int j = 0; j < kTaps; ++j) {
        x[j] = t + j < taps ? load_codes(tap, run.channels) : Bytes{};
        if (t + j >= taps) continue;
        tap += ++col < run.cols ? run.pixel : run.row - (run.cols - 1) * run.pixel;
        if (col == run.cols) col = 0;
      }
      load_lanes(run.of_class + (1 + t / kTaps) * kGroupBytes, weight);
      add_group<Signed>(x, weight, acc);
    }
    store_window<K>(store, acc, constants, run.dst, index, run.channels);
  });
}

/// Windows with Rows x Cols taps inside over whole blocks, stored as codes of the onnx rule.
template <bool Signed, bool FromZero, int Rows, int Cols>
void sum_window(const VectorStore& of, const WindowRun& all) {
  constexpr int kGroups = (Rows * Cols + kTaps - 1) / kTaps;
  const WindowRun run = all;  // in registers: no store can alias these copies
  const VectorStore store = of;
  const WindowStore constants = load_store(run.block);
  VecI bias[kVectors], weight[kGroups][kVectors];
  load_lanes(run.of_class, bias);
  OCTET_UNROLL
  for (int i = 0; i < kGroups; ++i) load_lanes(run.of_class + (1 + i) * kGroupBytes, weight[i]);
  for_windows(run, [&](const std::uint8_t* src, std::int64_t index) {
    VecI acc[kVectors];
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[v] = bias[v];
    OCTET_UNROLL
    for (int i = 0; i < kGroups; ++i) {
      Bytes x[kTaps];
      OCTET_UNROLL
      for (int j = 0; j < kTaps; ++j) {
        const int t = i * kTaps + j;
        x[j] = t < Rows * Cols ? load_codes(src + t / Cols * run.row + t % Cols * run.pixel) : Bytes{};
      }
      add_group<Signed>(x, weight[i], acc);
    }
    if constexpr (FromZero)
      store_from_zero(store, acc, constants, run.dst, index);
    else
      store_window<StoreKind::onnx>(store, acc, constants, run.dst, index, kChannels);
  });
}

using SumWindow = void (*)(const VectorStore&, const WindowRun&);
template <bool Signed, bool Z>
constexpr SumWindow kSumWindow[3][3] = {
    {sum_window<Signed, Z, 1, 1>, sum_window<Signed, Z, 1, 2>, sum_window<Signed, Z, 1, 3>},
    {sum_window<Signed, Z, 2, 1>, sum_window<Signed, Z, 2, 2>, sum_window<Signed, Z, 2, 3>},
    {sum_window<Signed, Z, 3, 1>, sum_window<Signed, Z, 3, 2>, sum_window<Signed, Z, 3, 3>}};

template <bool Signed>
OCTET_SIMD void sum_windows(const VectorStore& store, const WindowRun& run) {
  if (store.kind == StoreKind::paddle) return sum_any_window<Signed, StoreKind::paddle>(store, run);
  if (store.kind == StoreKind::floats) return sum_any_window<Signed, StoreKind::floats>(store, run);
  const bool usual = run.rows >= 1 && run.rows <= 3 && run.cols >= 1 && run.cols <= 3 && run.channels == kChannels;
  if (usual && run.from_zero) return kSumWindow<Signed, true>[run.rows - 1][run.cols - 1](store, run);
  if (usual) return kSumWindow<Signed, false>[run.rows - 1][run.cols - 1](store, run);
  sum_any_window<Signed, StoreKind::onnx>(store, run);
}

/// What a task computes: output rows [first, last) of pictures [begin, end).
struct WindowTask {
  std::int64_t begin, end, first, last;
  bool from_zero;
};

/// The outputs of a task in one class, through blocks [b, stop).
template <bool Signed>
void sum_class(const ConvGeometry& g, const DwWindows& windows, const VectorStore& store, const IntConvPointers& io,
               const WindowTask& task, std::int64_t i, std::int64_t j, std::int64_t b, std::int64_t stop) {
  const DwRun &row = windows.rows[i], &col = windows.cols[j];
  const std::int64_t out_h = g.out_h(), out_w = g.out_w(), src_row = g.w * g.c, dst_row = out_w * g.c;
  const std::int64_t first = row.begin > task.first ? row.begin : task.first;
  const std::int64_t last = row.end < task.last ? row.end : task.last;
  WindowRun run;
  run.pixel = g.c, run.row = src_row, run.rows = row.last - row.first, run.cols = col.last - col.first;
  run.pictures = {task.end - task.begin, g.h * src_row, out_h * dst_row};
  run.down = {last - first, g.stride_h * src_row, dst_row};
  run.right = {col.end - col.begin, g.stride_w * g.c, g.c};
  // The innermost loop takes an axis that has more than one output.
  if (run.right.count == 1) swap_axes(run.right, run.down);
  if (run.right.count == 1) swap_axes(run.right, run.pictures);
  const std::int64_t line = task.begin * g.h + first * g.stride_h - g.pad_h + row.first;
  const std::int64_t src = line * src_row + (col.begin * g.stride_w - g.pad_w + col.first) * g.c;
  const std::int64_t dst = (task.begin * out_h + first) * dst_row + col.begin * g.c;
  run.dst = io.dst, run.from_zero = task.from_zero;
  for (; b < stop; ++b) {
    const std::int64_t c = b * kChannels;
    run.block = windows.first_block + static_cast<std::size_t>(b) * windows.block_bytes;
    run.of_class = run.block + windows.classes[i * windows.col_runs + j];
    run.src = static_cast<const std::uint8_t*>(io.src) + (src + c);
    run.index = dst + c;
    run.channels = static_cast<int>(g.c - c < kChannels ? g.c - c : kChannels);
    sum_windows<Signed>(store, run);
  }
}

template <bool Signed>
void run_windows(const IntConvProblem& problem, const IntConvPointers& io) {
  const ConvGeometry& g = problem.geometry;
  const DwWindows windows = dw_windows(io.packed);
  const DwWork work = dw_work(g);
  const VectorStore store = vector_store(problem.store);
  parallel_for(work.tasks, [&](std::int64_t index) {
    WindowTask task;
    task.from_zero = problem.store.z == 0 && problem.store.lo == 0;
    task.begin = index / work.tasks_per_picture * work.task_pictures;
    task.end = task.begin + work.task_pictures < g.n ? task.begin + work.task_pictures : g.n;
    task.first = index % work.tasks_per_picture * work.task_rows;
    task.last = task.first + work.task_rows < work.out_h ? task.first + work.task_rows : work.out_h;
    for (std::int64_t b = 0; b < windows.blocks; b += kBlocksAbreast) {
      const std::int64_t stop = b + kBlocksAbreast < windows.blocks ? b + kBlocksAbreast : windows.blocks;
      for (std::int64_t i = 0; i < windows.row_runs; ++i) {
        if (windows.rows[i].end <= task.first || windows.rows[i].begin >= task.last) continue;
        for (std::int64_t j = 0; j < windows.col_runs; ++j)
          sum_class<Signed>(g, windows, store, io, task, i, j, b, stop);
      }
    }
  });
}

}  // namespace
}  // namespace octet::kernels
