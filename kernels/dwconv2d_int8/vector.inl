// The integer depthwise convolution, written once for vectors. For every output row and block of channels, the picture
// columns under the filter are interleaved into groups of kTaps taps of a lane; each output then is a few dot() with
// the packed weights. Included by a file that defines what windows.inl lists.
#include "core/allocator.h"
#include "kernels/dwconv2d_int8/packed.h"

namespace octet::kernels {
namespace {

constexpr std::int64_t kColumnBytes = kVectors * sizeof(VecI);  // of one interleaved group

DwLayout layout_of(const IntConvProblem& p) { return dw_layout(p.geometry, kChannels, kTaps, sizeof(Weight)); }

/// A group of padding.
template <bool Signed>
OCTET_SIMD void fill(std::int32_t z_x, std::uint8_t* out) {
  const std::uint32_t x = ((static_cast<std::uint32_t>(z_x) & 0xff) ^ (Signed ? 0x80u : 0u)) * 0x01010101u;
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v)
    VecI::set1(static_cast<std::int32_t>(x)).store(reinterpret_cast<std::int32_t*>(out) + v * VecI::width);
}

/// What a task shares.
struct Job {
  const IntConvProblem* problem;
  DwLayout layout;
  DwWork work;
  VectorStore store;
  const std::uint8_t* picture;
  const std::uint8_t* padding;  ///< kChannels times z_x
  std::uint8_t* columns;        ///< [padded column][row group] of interleaved groups
  std::int64_t begin, end;      ///< padded columns that lie in the picture
};

Job job_of(const IntConvProblem& problem, const DwLayout& layout, const DwWork& work, const VectorStore& store) {
  const ConvGeometry& g = problem.geometry;
  Job job{&problem, layout, work, store, nullptr, nullptr, nullptr, 0, 0};
  job.begin = g.pad_w < work.columns ? g.pad_w : work.columns;
  job.end = g.pad_w + g.w < work.columns ? g.pad_w + g.w : work.columns;
  return job;
}

/// Interleaves the filter rows r … r + kTaps − 1 of all columns under an output row that begins at picture line `top`.
template <bool Signed>
void interleave_group(const Job& job, std::int64_t top, std::int64_t r, std::int64_t channel, int channels) {
  const ConvGeometry& g = job.problem->geometry;
  const std::uint8_t* taps[kTaps];
  std::int64_t steps[kTaps];
  for (std::int64_t t = 0; t < kTaps; ++t) {
    const std::int64_t line = top + r + t;
    const bool used = r + t < g.r && line >= 0 && line < g.h;
    taps[t] = used ? job.picture + line * g.w * g.c + channel : job.padding;
    steps[t] = used ? g.c : 0;
  }
  const std::int64_t stride = job.layout.row_groups * kColumnBytes;
  std::uint8_t* out = job.columns + r / kTaps * kColumnBytes;
  for (std::int64_t i = 0; i < job.begin; ++i, out += stride) fill<Signed>(job.problem->z_x, out);
  for (std::int64_t i = job.begin; i < job.end; ++i, out += stride) {
    Bytes codes[kTaps];
    VecI groups[kVectors];
    OCTET_UNROLL
    for (int t = 0; t < kTaps; ++t) codes[t] = load_codes(taps[t], channels);
    interleave<Signed>(codes, groups);
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v) groups[v].store(reinterpret_cast<std::int32_t*>(out) + v * VecI::width);
    OCTET_UNROLL
    for (int t = 0; t < kTaps; ++t) taps[t] += steps[t];
  }
  for (std::int64_t i = job.end; i < job.work.columns; ++i, out += stride) fill<Signed>(job.problem->z_x, out);
}

template <StoreKind K>
OCTET_SIMD void store_block(const VectorStore& s, VecI (&acc)[kVectors], const char* block, void* dst,
                            std::int64_t index, int channels) {
  const float* multiplier = reinterpret_cast<const float*>(block) + kChannels;
  const float* bias = multiplier + kChannels;
  if constexpr (K == StoreKind::floats) {
    VecF values[kVectors];
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v)
      values[v] = floats_of(s, acc[v], VecF::load(multiplier + v * VecF::width), VecF::load(bias + v * VecF::width));
    store_floats(values, static_cast<float*>(dst) + index, channels);
  } else {
    VecI codes[kVectors];
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v)
      codes[v] = codes_of<K>(s, acc[v], VecF::load(multiplier + v * VecF::width), VecF::load(bias + v * VecF::width));
    store_codes<true>(codes, static_cast<std::uint8_t*>(dst) + index, channels);
  }
}

OCTET_SIMD VecI load_group(const void* p) { return VecI::load(static_cast<const std::int32_t*>(p)); }

/// The outputs of a row and block. Groups > 0: the filter's number of groups, whose weights stay in registers.
template <StoreKind K, int Groups>
void multiply_columns(const Job& job, const char* block, void* dst, std::int64_t index, int channels) {
  const ConvGeometry& g = job.problem->geometry;
  const char* weight = block + job.layout.weight;
  const std::int64_t groups = Groups > 0 ? Groups : g.s * job.layout.row_groups;
  VecI held[Groups > 0 ? Groups : 1][kVectors];
  if constexpr (Groups > 0) {
    OCTET_UNROLL
    for (int i = 0; i < Groups; ++i) {
      OCTET_UNROLL
      for (int v = 0; v < kVectors; ++v) held[i][v] = load_group(weight + i * kColumnBytes + v * sizeof(VecI));
    }
  }
  const std::int64_t step = g.stride_w * job.layout.row_groups * kColumnBytes;
  const std::uint8_t* x = job.columns;
  for (std::int64_t q = 0; q < job.work.out_w; ++q, x += step, index += g.c) {
    VecI acc[kVectors];
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[v] = load_group(block + v * sizeof(VecI));
    if constexpr (Groups > 0) {
      OCTET_UNROLL
      for (int i = 0; i < Groups; ++i) {
        OCTET_UNROLL
        for (int v = 0; v < kVectors; ++v)
          acc[v] = dot(acc[v], load_group(x + i * kColumnBytes + v * sizeof(VecI)), held[i][v]);
      }
    } else {
      for (std::int64_t i = 0; i < groups; ++i) {
        OCTET_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          const std::int64_t at = i * kColumnBytes + v * static_cast<std::int64_t>(sizeof(VecI));
          acc[v] = dot(acc[v], load_group(x + at), load_group(weight + at));
        }
      }
    }
    store_block<K>(job.store, acc, block, dst, index, channels);
  }
}

template <StoreKind K>
void multiply_columns(const Job& job, const char* block, void* dst, std::int64_t index, int channels) {
  if (kTaps >= 3 && job.problem->geometry.s * job.layout.row_groups == 3)
    multiply_columns<K, 3>(job, block, dst, index, channels);
  else
    multiply_columns<K, 0>(job, block, dst, index, channels);
}

/// Output row p of the job's picture, whose first code is dst[index].
template <bool Signed>
void output_row(const Job& job, const char* packed, std::int64_t p, void* dst, std::int64_t index) {
  const std::int64_t c = job.problem->geometry.c;
  for (std::int64_t b = 0; b < job.layout.blocks; ++b) {
    const std::int64_t channel = b * kChannels;
    const int channels = static_cast<int>(c - channel < kChannels ? c - channel : kChannels);
    const char* block = packed + static_cast<std::size_t>(b) * job.layout.block_bytes;
    const ConvGeometry& g = job.problem->geometry;
    for (std::int64_t r = 0; r < job.layout.row_groups * kTaps; r += kTaps)
      interleave_group<Signed>(job, p * g.stride_h - g.pad_h, r, channel, channels);
    switch (job.store.kind) {
      case StoreKind::onnx:
        multiply_columns<StoreKind::onnx>(job, block, dst, index + channel, channels);
        break;
      case StoreKind::paddle:
        multiply_columns<StoreKind::paddle>(job, block, dst, index + channel, channels);
        break;
      case StoreKind::floats:
        multiply_columns<StoreKind::floats>(job, block, dst, index + channel, channels);
        break;
    }
  }
}

template <bool Signed>
void run(const IntConvProblem& problem, const IntConvPointers& pointers) {
  const ConvGeometry& g = problem.geometry;
  const DwLayout layout = layout_of(problem);
  const DwWork work = dw_work(g);
  const VectorStore store = vector_store(problem.store);
  const auto bytes = static_cast<std::size_t>(work.columns * layout.row_groups * kColumnBytes);
  parallel_for(work.tasks, [&](std::int64_t task) {
    std::uint8_t padding[kChannels];
    __builtin_memset(padding, problem.z_x & 0xff, sizeof padding);
    const std::int64_t begin = task / work.tasks_per_picture * work.task_pictures;
    const std::int64_t end = begin + work.task_pictures < g.n ? begin + work.task_pictures : g.n;
    const std::int64_t first = task % work.tasks_per_picture * work.task_rows;
    const std::int64_t last = first + work.task_rows < work.out_h ? first + work.task_rows : work.out_h;
    auto* columns = static_cast<std::uint8_t*>(scratch_acquire(bytes));
    Job job = job_of(problem, layout, work, store);
    job.padding = padding, job.columns = columns;
    for (std::int64_t n = begin; n < end; ++n) {
      const auto* picture = static_cast<const std::uint8_t*>(pointers.src) + n * g.h * g.w * g.c;
      job.picture = picture;
      for (std::int64_t p = first; p < last; ++p)
        output_row<Signed>(job, static_cast<const char*>(pointers.packed), p, pointers.dst,
                           (n * work.out_h + p) * work.out_w * g.c);
    }
    scratch_release(columns, bytes);
  });
}

}  // namespace
}  // namespace octet::kernels
