// The convolution as a product of matrices whose left one is gathered: pixels by depth, four codes to a word, times
// depth by filters. A block computes kPixels by kFilters outputs, kStep words of the depth at a time, on
// tensor cores. Where that makes few blocks, each takes a chunk of the depth only, and a second kernel adds the chunks'
// sums.
#include "core/gpu/gpu.h"
#include "core/gpu/mma.h"
#include "kernels/conv2d_int8/cuda_store.h"
#include "kernels/conv2d_int8/depth_split.h"
#include "kernels/conv2d_int8/device_row.h"

namespace octet::kernels {
namespace {

using Byte = std::uint8_t;
using gpu::Pack;

constexpr int kPixels = 64, kFilters = 64, kStep = 16, kThreads = 256;
constexpr int kLine = kPixels + 8;  // a line of a tile: four of them, eight words each, lie in different banks
static_assert(kFilters == kPixels);

/// Panels of kFilters filters; weights [panel][tap][word of its channels][filter].
PackedLayout layout_of(const IntConvProblem& p) {
  return packed_layout(p.geometry.k, conv_depth(p.geometry), kFilters, 4, sizeof(std::int8_t),
                       p.geometry.r * p.geometry.s);
}

struct Layer {
  ConvGeometry g;
  int out_h, out_w;
  std::size_t pixels;
  int words, tap_words, chunk_words;  ///< of the depth; of a tap; of what a block takes of the depth
  unsigned flip, padding;
  PackedView constants;
  IntStore store;
};

/// How the codes of a pixel may be read: in packs of 16, in words, one by one.
enum class Gather { packs, words, bytes };

/// The window of one output pixel, null behind the last.
struct Window {
  const Byte* picture;
  int top, left;
  __device__ Window(const Layer& l, const Byte* src, std::size_t pixel) : picture(nullptr), top(0), left(0) {
    if (pixel >= l.pixels) return;
    const std::size_t line = pixel / static_cast<unsigned>(l.out_w), n = line / static_cast<unsigned>(l.out_h);
    picture =
        src + n * static_cast<std::size_t>(l.g.h) * static_cast<std::size_t>(l.g.w) * static_cast<std::size_t>(l.g.c);
    top = static_cast<int>(line - n * static_cast<unsigned>(l.out_h)) * static_cast<int>(l.g.stride_h) -
          static_cast<int>(l.g.pad_h);
    left = static_cast<int>(pixel - line * static_cast<unsigned>(l.out_w)) * static_cast<int>(l.g.stride_w) -
           static_cast<int>(l.g.pad_w);
  }
  /// The codes of channel 0 that word `word` of the depth meets, null in the padding.
  __device__ const Byte* tap(const Layer& l, int word) const {
    const int tap = word / l.tap_words, r = tap / static_cast<int>(l.g.s), s = tap - r * static_cast<int>(l.g.s);
    const int y = top + r, x = left + s;
    if (picture == nullptr || y < 0 || y >= static_cast<int>(l.g.h) || x < 0 || x >= static_cast<int>(l.g.w))
      return nullptr;
    return picture + (static_cast<std::size_t>(y) * static_cast<std::size_t>(l.g.w) + static_cast<std::size_t>(x)) *
                         static_cast<std::size_t>(l.g.c);
  }
};

/// Four words of the depth from `word` on, as s8 codes; words behind the last meet no weight.
template <Gather kGather>
__device__ __forceinline__ Pack<unsigned, 4> gather(const Layer& l, const Window& window, int word) {
  Pack<unsigned, 4> codes;
  for (unsigned& w : codes.at) w = l.padding;
  if constexpr (kGather == Gather::packs) {
    const Byte* from = word < l.words ? window.tap(l, word) : nullptr;
    if (from != nullptr)
      codes = *reinterpret_cast<const Pack<unsigned, 4>*>(from + 4 * static_cast<std::size_t>(word % l.tap_words));
  } else {
    for (int i = 0; i < 4; ++i) {
      const Byte* from = word + i < l.words ? window.tap(l, word + i) : nullptr;
      if (from == nullptr) continue;
      const int channel = (word + i) % l.tap_words * 4, left = static_cast<int>(l.g.c) - channel;
      codes.at[i] = load_codes<kGather == Gather::words>(from + channel, left);
    }
  }
  for (unsigned& w : codes.at) w ^= l.flip;
  return codes;
}

/// The tiles of kStep words, twice: one is filled while the other is read. In the end, the sums.
union alignas(16) Tiles {
  struct {
    unsigned codes[2][kStep][kLine], weights[2][kStep][kLine];
  } words;
  int sums[kPixels][kLine];
};

/// This thread's part of the next tiles on its way from memory.
template <Gather kGather>
struct Part {
  Pack<unsigned, 4> codes, weights;
  int pixel, word;  ///< in the tile of codes: words [word, word + 4) of a pixel
  __device__ Part() : pixel(static_cast<int>(threadIdx.x / 4)), word(static_cast<int>(threadIdx.x % 4 * 4)) {}
  __device__ __forceinline__ void load(const Layer& l, const Window& window, const unsigned* panel, int first) {
    codes = gather<kGather>(l, window, first + word);
    const int line = first + static_cast<int>(threadIdx.x / 16);
    weights = line < l.words ? gpu::load_pack<4>(panel, static_cast<std::size_t>(line) * 16 + threadIdx.x % 16)
                             : Pack<unsigned, 4>{};
  }
  __device__ __forceinline__ void put(Tiles& tiles, int buffer) const {
    for (int i = 0; i < 4; ++i) tiles.words.codes[buffer][word + i][pixel] = codes.at[i];
    gpu::store_pack(tiles.words.weights[buffer][threadIdx.x / 16], threadIdx.x % 16, weights);
  }
};

/// The sums of one thread. Warps stand in two rows of 32 pixels and four columns of 16 filters, in fragments of 16
/// by 8.
class Sums {
 public:
  __device__ void add(const Tiles& tiles, int buffer) {
    const int word = lane() % 4, line = lane() / 4;
#pragma unroll
    for (int w = 0; w < kStep; w += 8) {
      const unsigned *near = tiles.words.codes[buffer][w + word], *far = tiles.words.codes[buffer][w + word + 4],
                     *near_weights = tiles.words.weights[buffer][w + word],
                     *far_weights = tiles.words.weights[buffer][w + word + 4];
      unsigned codes[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int pixel = first_pixel() + 16 * i + line;
        codes[i][0] = near[pixel], codes[i][1] = near[pixel + 8], codes[i][2] = far[pixel],
        codes[i][3] = far[pixel + 8];
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int filter = first_filter() + 8 * j + line;
#pragma unroll
        for (int i = 0; i < 2; ++i) gpu::mma_s8(sums_[i][j], codes[i], near_weights[filter], far_weights[filter]);
      }
    }
  }
  /// All threads; the tiles are read no more.
  __device__ void share(Tiles& tiles) const {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        int* const to = tiles.sums[first_pixel() + 16 * i + lane() / 4] + first_filter() + 8 * j + lane() % 4 * 2;
        to[0] = sums_[i][j][0], to[1] = sums_[i][j][1];
        to[8 * kLine] = sums_[i][j][2], to[8 * kLine + 1] = sums_[i][j][3];
      }
    }
    __syncthreads();
  }

 private:
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int first_pixel() { return static_cast<int>(threadIdx.x) / 128 * 32; }
  __device__ static int first_filter() { return static_cast<int>(threadIdx.x) / 32 % 4 * 16; }
  int sums_[2][2][4] = {};
};

/// A thread's four pixels by four columns, finished.
template <class To, bool kWhole>
struct Outputs {
  To* dst;
  __device__ __forceinline__ void put(const Layer& l, std::size_t pixel, std::size_t column,
                                      const int (&sum)[4][4]) const {
    const auto columns = static_cast<std::size_t>(l.g.k);
    if (column >= columns) return;
    const StoreConstants constants(l.constants, column);
    const int count = static_cast<int>(columns - column < 4 ? columns - column : 4);
#pragma unroll
    for (std::size_t i = 0; i < 4; ++i)
      if (pixel + i < l.pixels)
        store_four<To, kWhole>(l.store, sum[i], constants, dst + (pixel + i) * columns + column, count);
  }
};

/// Their sums over this block's chunk of the depth: [chunk][pixel][column of whole panels].
struct Partials {
  int* to;
  __device__ __forceinline__ void put(const Layer& l, std::size_t pixel, std::size_t column,
                                      const int (&sum)[4][4]) const {
    const std::size_t first = blockIdx.z * l.pixels, columns = static_cast<std::size_t>(gridDim.y) * kFilters;
    for (std::size_t i = 0; i < 4; ++i) {
      if (pixel + i >= l.pixels) return;
      const Pack<int, 4> four{{sum[i][0], sum[i][1], sum[i][2], sum[i][3]}};
      gpu::store_pack(to + (first + pixel + i) * columns + column, 0, four);
    }
  }
};

template <Gather kGather, class Store>
__global__ void __launch_bounds__(kThreads) convolution(const Byte* src, Store store, Layer l) {
  __shared__ Tiles tiles;
  const std::size_t first_pixel = static_cast<std::size_t>(blockIdx.x) * kPixels,
                    k = static_cast<std::size_t>(blockIdx.y) * kFilters;
  const unsigned* panel = static_cast<const unsigned*>(l.constants.weight) + k * static_cast<unsigned>(l.words);
  Part<kGather> part;
  const Window window(l, src, first_pixel + static_cast<unsigned>(part.pixel));
  const int begin = static_cast<int>(blockIdx.z) * l.chunk_words, end = min(begin + l.chunk_words, l.words);
  Sums sums;
  part.load(l, window, panel, begin);
  part.put(tiles, 0);
  __syncthreads();
  int buffer = 0;
  for (int word = begin + kStep; word < end; word += kStep, buffer ^= 1) {
    part.load(l, window, panel, word);
    sums.add(tiles, buffer);
    part.put(tiles, buffer ^ 1);
    __syncthreads();
  }
  sums.add(tiles, buffer);
  sums.share(tiles);
  // A thread stores four pixels by four filters.
  const unsigned pixel = threadIdx.x / 16 * 4, filter = threadIdx.x % 16 * 4;
  int sum[4][4];
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) {
#pragma unroll
    for (unsigned j = 0; j < 4; ++j) sum[i][j] = tiles.sums[pixel + i][filter + j];
  }
  store.put(l, first_pixel + pixel, k + filter, sum);
}

/// Adds the chunks' sums; a thread has four columns of a pixel.
template <class To, bool kWhole>
__global__ void add_chunks(const int* partial, To* dst, Layer l, int chunks, std::size_t padded) {
  const auto columns = static_cast<std::size_t>(l.g.k);
  const std::size_t fours = (columns + 3) / 4;
  OCTET_GRID_LOOP(i, l.pixels * fours) {
    const std::size_t pixel = i / fours, column = i % fours * 4;
    unsigned sum[4] = {};
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const std::size_t line = static_cast<unsigned>(chunk) * l.pixels + pixel;
      const gpu::Pack<int, 4> more = gpu::load_pack<4>(partial + line * padded + column, 0);
      for (int j = 0; j < 4; ++j) sum[j] += static_cast<unsigned>(more.at[j]);
    }
    const int total[4] = {static_cast<int>(sum[0]), static_cast<int>(sum[1]), static_cast<int>(sum[2]),
                          static_cast<int>(sum[3])};
    store_four<To, kWhole>(l.store, total, StoreConstants(l.constants, column), dst + pixel * columns + column,
                           static_cast<int>(columns - column < 4 ? columns - column : 4));
  }
}

template <Gather kGather, class To, bool kWhole>
void launch(const IntConvPointers& x, Layer layer, unsigned panels, void* stream) {
  const auto tiles = static_cast<unsigned>((layer.pixels + kPixels - 1) / kPixels);
  const auto* src = static_cast<const Byte*>(x.src);
  const Outputs<To, kWhole> outputs{static_cast<To*>(x.dst)};
  const DepthSplit split = depth_split(std::int64_t{tiles} * panels, (layer.words + kStep - 1) / kStep);
  layer.chunk_words = split.steps * kStep;
  const dim3 grid(tiles, panels, static_cast<unsigned>(split.chunks));
  if (split.chunks == 1) {
    OCTET_LAUNCH((convolution<kGather, Outputs<To, kWhole>>), grid, kThreads, stream, src, outputs, layer);
    return;
  }
  const std::size_t padded = std::size_t{panels} * kFilters;
  const std::size_t bytes = static_cast<std::size_t>(split.chunks) * layer.pixels * padded * sizeof(int);
  auto* partial = static_cast<int*>(gpu::scratch_acquire(bytes));
  OCTET_LAUNCH((convolution<kGather, Partials>), grid, kThreads, stream, src, Partials{partial}, layer);
  OCTET_LAUNCH((add_chunks<To, kWhole>), gpu::loop_blocks(layer.pixels * (padded / 4)), gpu::kLoopThreads, stream,
               partial, outputs.dst, layer, split.chunks, padded);
  gpu::scratch_release(partial, bytes);
}

template <class To, bool kWhole>
void run_stored(const IntConvPointers& x, const Layer& layer, unsigned panels, void* stream) {
  const auto c = static_cast<std::size_t>(layer.g.c);
  if (gpu::packable(c, 16, 16, {x.src})) return launch<Gather::packs, To, kWhole>(x, layer, panels, stream);
  if (gpu::packable(c, 4, 4, {x.src})) return launch<Gather::words, To, kWhole>(x, layer, panels, stream);
  launch<Gather::bytes, To, kWhole>(x, layer, panels, stream);
}

template <class To>
void run_as(const IntConvProblem& p, const IntConvPointers& x, void* stream) {
  const ConvGeometry& g = p.geometry;
  const PackedLayout packed = layout_of(p);
  const Layer layer{g,
                    static_cast<int>(g.out_h()),
                    static_cast<int>(g.out_w()),
                    static_cast<std::size_t>(g.out_pixels()),
                    static_cast<int>(packed.depth_padded / 4),
                    static_cast<int>(packed.segment_groups),
                    0,
                    flip_of(p),
                    padding_of(p),
                    packed_view(packed, x.packed),
                    p.store};
  const auto panels = static_cast<unsigned>(packed.columns_padded / kFilters);
  gpu::packable(static_cast<std::size_t>(g.k), 4, 4 * sizeof(To), {x.dst})
      ? run_stored<To, true>(x, layer, panels, stream)
      : run_stored<To, false>(x, layer, panels, stream);
}

void run(const IntConvProblem& p, const IntConvPointers& x, void* stream) {
  p.store.dst == DType::f32 ? run_as<float>(p, x, stream) : run_as<Byte>(p, x, stream);
}

/// Words of the depth are counted in int, panels are rows of a grid.
const char* refused(const IntConvProblem& p) {
  const ConvGeometry& g = p.geometry;
  if (g.r * g.s > (1 << 16) || g.r * g.s * (g.c + 4) > (1 << 30)) return "a depth beyond 2^30";
  return g.k > std::int64_t{65535} * kFilters ? "more than 65535 panels of filters" : nullptr;
}

}  // namespace

OCTET_INT_CONV_DEVICE_ROW(conv2d_int8_fwd_u8s8)
OCTET_INT_CONV_DEVICE_ROW(conv2d_int8_fwd_s8s8)

}  // namespace octet::kernels
