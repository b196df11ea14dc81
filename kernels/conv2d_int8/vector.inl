// The integer GEMM, written once for vectors. Included after simd_avx2.h or simd_avx512.h and vector_store.h by a file
// that defines, in octet::kernels' unnamed namespace:
//   Operand                  element of a row as multiplied; Weight: of a packed column
//   kGroup                   elements that one dot() adds into a lane
//   kRows                    rows of the register tile, kVectors vectors of columns
//   multiply_depth<Signed>(acc, tile context, rows)   the sums of a tile over the depth
//   panel_order(layout, packed, panel)   what multiply_depth wants to know of a panel beside its weights, or null
//   prepare_operands<Signed>(…)  the operands of a block, ready to be multiplied; operand_bytes(work): its scratch memory
// The first two are declared here, since they read TileContext or are read by run().
#include "core/allocator.h"
#include "kernels/conv2d_int8/gemm_work.h"

namespace octet::kernels {
namespace {

constexpr int kPanel = kVectors * VecI::width;

/// What the tiles of a task share.
struct TileContext {
  const Operand* rows;          ///< of a line of pixels: the first
  std::int64_t row_stride;      ///< elements
  std::int64_t segments;        ///< of a row's depth
  std::int64_t segment_stride;  ///< elements
  std::int64_t groups;          ///< whole groups of a segment
  int rest;                     ///< elements of the last group, when it is not whole
  const Weight* panel;
  const std::int32_t* order;  ///< panel_order()
  const std::int32_t* bias;
  const float *multiplier, *bias_f32;
  VectorStore store;
  void* dst;
  std::int64_t dst_index, dst_stride;  ///< of the line's first pixel and the panel's first column
  int columns;                         ///< of the panel that exist
};

/// Codes of a whole panel's width, row after row.
template <StoreKind K, int M>
OCTET_SIMD void store_codes(const TileContext& t, std::int64_t row, VecI (&acc)[M][kVectors]) {
  VecF multiplier[kVectors], bias[kVectors];
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    multiplier[v] = VecF::load(t.multiplier + v * VecF::width);
    bias[v] = K == StoreKind::paddle ? VecF::load(t.bias_f32 + v * VecF::width) : VecF::zero();
  }
  auto* dst = static_cast<std::uint8_t*>(t.dst) + t.dst_index + row * t.dst_stride;
  OCTET_UNROLL
  for (int m = 0; m < M; ++m) {
    VecI codes[kVectors];
    OCTET_UNROLL
    for (int v = 0; v < kVectors; ++v) codes[v] = codes_of<K>(t.store, acc[m][v], multiplier[v], bias[v]);
    store_bytes(codes, dst + m * t.dst_stride);
  }
}

template <StoreKind K, int M>
OCTET_SIMD void store_tile(const TileContext& t, std::int64_t row, VecI (&acc)[M][kVectors]) {
  if (K != StoreKind::floats && t.columns == kPanel) return store_codes<K>(t, row, acc);
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const int columns = t.columns - v * VecI::width;
    if (columns <= 0) return;
    const VecF multiplier = VecF::load(t.multiplier + v * VecF::width), bias = VecF::load(t.bias_f32 + v * VecF::width);
    const std::int64_t index = t.dst_index + row * t.dst_stride + v * VecI::width;
    if (columns >= VecI::width) {
      OCTET_UNROLL
      for (int m = 0; m < M; ++m)
        store_accumulators<K>(t.store, acc[m][v], multiplier, bias, t.dst, index + m * t.dst_stride, Whole{});
    } else {
      OCTET_UNROLL
      for (int m = 0; m < M; ++m)
        store_accumulators<K>(t.store, acc[m][v], multiplier, bias, t.dst, index + m * t.dst_stride, Part{columns});
    }
  }
}

template <bool Signed, int M>
OCTET_SIMD void multiply_depth(VecI (&acc)[M][kVectors], const TileContext& t, const Operand* rows);
const std::int32_t* panel_order(const PackedLayout& layout, const void* packed, std::int64_t panel);

/// M rows of the line from `row`, times the panel, to dst.
template <bool Signed, int M>
[[gnu::noinline]] void tile(const TileContext& t, std::int64_t row) {
  VecI acc[M][kVectors];
  OCTET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const VecI bias = VecI::load(t.bias + v * VecI::width);
    OCTET_UNROLL
    for (int m = 0; m < M; ++m) acc[m][v] = bias;
  }
  multiply_depth<Signed>(acc, t, t.rows + row * t.row_stride);
  switch (t.store.kind) {
    case StoreKind::onnx:
      return store_tile<StoreKind::onnx>(t, row, acc);
    case StoreKind::paddle:
      return store_tile<StoreKind::paddle>(t, row, acc);
    case StoreKind::floats:
      return store_tile<StoreKind::floats>(t, row, acc);
  }
}

template <bool Signed, int M>
OCTET_SIMD std::int64_t tiles(const TileContext& t, std::int64_t row, std::int64_t rows) {
  for (; row + M <= rows; row += M) tile<Signed, M>(t, row);
  return row;
}

/// A line of pixels times the panel.
template <bool Signed>
void line(const TileContext& t, std::int64_t rows) {
  // Two rows left over make two even tiles with the one before.
  const bool even = rows % kRows == 2 && rows > kRows;
  std::int64_t row = tiles<Signed, kRows>(t, 0, even ? rows - kRows : rows);
  if constexpr (kRows > 8) row = tiles<Signed, 8>(t, row, rows);
  row = tiles<Signed, 4>(t, row, rows);
  row = tiles<Signed, 2>(t, row, rows);
  tiles<Signed, 1>(t, row, rows);
}

PackedLayout layout_of(const IntConvProblem& p) {
  return packed_layout(p.geometry.k, conv_depth(p.geometry), kPanel, kGroup, sizeof(Weight), p.geometry.r);
}

/// The lines of a block times the panel.
template <bool Signed>
void block(TileContext t, const GemmWork& work, const GemmBlock& b, std::int64_t stride_h) {
  const Operand* operands = t.rows;
  for (std::int64_t picture = 0; picture < b.pictures; ++picture) {
    t.rows = operands + picture * work.padded_lines * work.line_elements;
    for (std::int64_t i = 0; i < b.lines; ++i) {
      line<Signed>(t, b.pixels);
      t.rows += stride_h * work.line_elements;
      t.dst_index += b.pixels * t.dst_stride;
    }
  }
}

template <bool Signed>
void run(const IntConvProblem& problem, const IntConvPointers& pointers) {
  const GemmWork work = gemm_work(problem, layout_of(problem), kRows);
  const PackedLayout& layout = work.layout;
  const PackedView view = packed_view(layout, pointers.packed);
  const VectorStore store = vector_store(problem.store);
  const std::size_t bytes = operand_bytes(work);
  parallel_for(work.blocks * work.column_groups, [&](std::int64_t task) {
    const GemmBlock b = gemm_block(problem, work, task / work.column_groups);
    void* scratch = bytes > 0 ? scratch_acquire(bytes) : nullptr;
    TileContext t;
    t.store = store;
    t.dst = pointers.dst;
    t.dst_stride = layout.columns;
    t.rows = prepare_operands<Signed>(problem, work, b, pointers.src, scratch, t.row_stride);
    t.segments = layout.segments;
    t.segment_stride = work.line_elements;
    // Pixels as they lie end with their last code: what follows must not be read.
    const bool whole = !work.direct || t.row_stride == layout.depth_padded;
    t.groups = whole ? layout.segment_groups : layout.depth / kGroup;
    t.rest = static_cast<int>(whole ? 0 : layout.depth % kGroup);
    const std::int64_t begin = task % work.column_groups * work.panels_per_group;
    const std::int64_t end = begin + work.panels_per_group < work.panels ? begin + work.panels_per_group : work.panels;
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t column = panel * kPanel;
      t.panel = static_cast<const Weight*>(view.weight) + column * layout.depth_padded;
      t.order = panel_order(layout, pointers.packed, panel);
      t.bias = view.bias + column;
      t.multiplier = view.multiplier + column;
      t.bias_f32 = view.bias_f32 + column;
      t.dst_index = b.first * layout.columns + column;
      t.columns = static_cast<int>(layout.columns - column < kPanel ? layout.columns - column : kPanel);
      block<Signed>(t, work, b, problem.geometry.stride_h);
    }
    if (scratch != nullptr) scratch_release(scratch, bytes);
  });
}

}  // namespace
}  // namespace octet::kernels
