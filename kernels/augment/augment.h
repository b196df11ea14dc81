// A batch out of pictures that lie in memory as bytes. With b = *position (0 where null), picture i of the batch is
// p = order[b + i]:
//   augment_fwd: values[i] = normalised pictures[p], seen as views[b + i] says (view.h; as it is where null)
//                batch_labels[i] = labels[p]; then *position = b + count
// So batch after batch is made without the host, which writes order, views and position once an epoch.
#pragma once
#include "kernels/augment/view.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

struct AugmentProblem {
  std::int64_t count = 1;              ///< pictures of the batch
  std::int64_t h = 32, w = 32, c = 3;  ///< of a picture
  std::string str() const;
};
struct AugmentPointers {
  const std::uint8_t* pictures = nullptr;  ///< all,h,w,c
  const std::int32_t* labels = nullptr;    ///< all
  const std::int32_t* order = nullptr;     ///< of an epoch, from 0
  const View* views = nullptr;             ///< as order
  std::int32_t* position = nullptr;        ///< 1
  float* values = nullptr;                 ///< count,h,w,c
  std::int32_t* batch_labels = nullptr;    ///< count
};
using AugmentRow = Row<AugmentProblem, AugmentPointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(AugmentProblem, AugmentPointers, __VA_ARGS__)
#include "kernels/augment/kernels.inc"
#undef KERNEL

/// Pass: augment_fwd, of dtypes u8f32.
std::span<const AugmentRow> augment_rows();

}  // namespace octet::kernels
