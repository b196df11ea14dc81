// The packed constants of the vector depthwise rows, block after block of `channels` channels; within a block the
// channels stand in the order of the row's accumulator lanes:
//   bias s32 | multiplier f32 | bias_f32 f32 | weight [s][r group][lane][tap of the group]     (taps beyond r are
//   zeros)
// A group holds `taps` taps of one filter column, so that a gathered picture column serves every output that needs it.
#pragma once
#include <cstddef>

#include "kernels/dwconv2d_int8/dwconv2d_int8.h"

namespace octet::kernels {

struct DwLayout {
  std::int64_t blocks = 0, channels = 1, taps = 1;
  std::int64_t row_groups = 1;              ///< groups of one filter column
  std::size_t element = 1;                  ///< bytes of a packed weight
  std::size_t group_bytes = 0;              ///< of weights: channels · taps · element
  std::size_t weight = 0, block_bytes = 0;  ///< offset in a block, and the whole block
};

DwLayout dw_layout(const ConvGeometry& geometry, std::int64_t channels, std::int64_t taps, std::size_t element);
/// channel_of[lane]: the channel of a block that stands in this lane; `zero` as in pack_columns.
void pack_depthwise(const IntConvProblem& problem, const DwLayout& layout, const std::uint8_t* channel_of,
                    const IntConvWeights& weights, std::int32_t zero, void* packed);

/// How a depthwise row cuts its work: a task is `task_rows` output rows of one picture, or some whole pictures.
struct DwWork {
  std::int64_t out_h = 1, out_w = 1, task_rows = 1, tasks_per_picture = 1;
  std::int64_t task_pictures = 1, tasks = 1;
  std::int64_t columns = 1;  ///< padded picture columns that the outputs of a row see
};
DwWork dw_work(const ConvGeometry& geometry);

}  // namespace octet::kernels
