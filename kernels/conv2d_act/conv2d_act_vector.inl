// conv2d_act on vectors: a matrix product (kernels/gemm) of pixels, as they lie or by columns, and panels of packed
// filters. Included after a simd header.
#pragma once
#include "kernels/conv2d/conv2d_vector.inl"
#include "kernels/conv2d_act/conv2d_act.h"

namespace octet::kernels {
namespace {

/// How the product is cut: a task is a block of rows, which stay in the second-level cache, by some panels.
struct ActWork {
  std::int64_t rows, depth, row_block, row_blocks, panels, panels_per_task, column_tasks;
  explicit ActWork(const ConvGeometry& g)
      : rows(g.out_pixels()), depth(g.r * g.s * g.c), panels(ceil_div(g.k, kConv2dActPanel)) {
    constexpr std::int64_t kBlockFloats = 32 << 10, kFewTasks = 8;
    row_block = even_block(rows, smaller(larger(kBlockFloats / depth, 2 * kTileRows), 192), kTileRows);
    row_blocks = ceil_div(rows, row_block);
    // Every group of panels makes its columns anew, so layers by columns are cut only when there is one block of rows.
    const bool cut = g.is_pointwise() ? row_blocks < kFewTasks : row_blocks == 1;
    panels_per_task = cut ? ceil_div(panels, smaller(panels, kFewTasks / row_blocks)) : panels;
    column_tasks = ceil_div(panels, panels_per_task);
  }
};

template <class Source>
inline void multiply_panels(const Conv2dActProblem& problem, const Conv2dActPointers& io, const Source& source) {
  const std::int64_t k = problem.geometry.k;
  const ActWork work(problem.geometry);
  parallel_for(work.row_blocks * work.column_tasks, [&](std::int64_t task) {
    const std::int64_t first = task / work.column_tasks * work.row_block,
                       rows = smaller(work.rows - first, work.row_block);
    const std::int64_t begin = task % work.column_tasks * work.panels_per_task,
                       end = smaller(begin + work.panels_per_task, work.panels);
    const std::int64_t floats = source.floats(rows);
    float* scratch = floats == 0 ? nullptr : acquire_floats(floats);
    const View a = source.rows(first, rows, scratch);
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t column = panel * kConv2dActPanel;
      multiply_deep({a,
                     rows,
                     smaller(k - column, kConv2dActPanel),
                     work.depth,
                     io.weight + column * work.depth,
                     kConv2dActPanel,
                     io.dst + first * k + column,
                     k,
                     true,
                     io.bias != nullptr ? io.bias + column : nullptr,
                     {},
                     problem.act});
    }
    if (scratch != nullptr) release_floats(scratch, floats);
  });
}

inline void conv2d_act_forward(const Conv2dActProblem& problem, const Conv2dActPointers& io) {
  const ConvGeometry& g = problem.geometry;
  if (g.out_pixels() == 0) return;
  if (g.is_pointwise())
    multiply_panels(problem, io, DirectRows{{io.src, g.c, true}});
  else
    multiply_panels(problem, io, ColumnRows{g, io.src, g.r * g.s * g.c});
}

}  // namespace

#define OCTET_CONV2D_ACT_ROWS(impl)                                                                              \
  const char* conv2d_act_fwd_f32_##impl##_why_not(const Conv2dActProblem&) { return nullptr; }                   \
  void conv2d_act_fwd_f32_##impl(const Conv2dActProblem& problem, const Conv2dActPointers& io, const Context&) { \
    conv2d_act_forward(problem, io);                                                                             \
  }

}  // namespace octet::kernels
