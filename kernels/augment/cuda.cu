#include "core/gpu/pack.h"
#include "kernels/augment/augment.h"

namespace octet::kernels {
namespace {

using gpu::Pack;

constexpr unsigned kThreads = 256;

/// The bytes of a picture, and how it is seen.
struct Seen {
  const std::uint8_t* bytes;
  View view;
};

/// A block for each picture of the batch; a thread makes kWidth neighbouring values at once.
template <int kWidth>
__global__ void gather(AugmentPointers x, int h, int w, int c) {
  const std::size_t at = blockIdx.x + static_cast<std::size_t>(x.position != nullptr ? *x.position : 0);
  const std::size_t picture = static_cast<std::size_t>(x.order[at]), size = static_cast<std::size_t>(h) * w * c;
  const Seen seen{x.pictures + picture * size, x.views != nullptr ? x.views[at] : View{}};
  if (threadIdx.x == 0) x.batch_labels[blockIdx.x] = x.labels[picture];
  float* const to = x.values + blockIdx.x * size;
  for (unsigned unit = threadIdx.x; unit < size / kWidth; unit += kThreads) {
    Pack<float, kWidth> values;
    for (int k = 0; k < kWidth; ++k) {
      const int i = static_cast<int>(unit * kWidth) + k, pixel = i / c, row = pixel / w, column = pixel - row * w;
      const int from_row = static_cast<int>(seen_row(row, seen.view));
      const int from_column = static_cast<int>(seen_column(column, w, seen.view));
      const bool empty =
          from_row < 0 || from_row >= h || from_column < 0 || from_column >= w || in_hole(row, column, seen.view);
      values.at[k] = empty ? 0.0f : normalised(seen.bytes[(from_row * w + from_column) * c + (i - pixel * c)]);
    }
    gpu::store_pack(to, unit, values);
  }
}

/// One thread: no block of gather() may see the new position.
__global__ void advance(std::int32_t* position, int count) {
  if (threadIdx.x == 0) *position += count;
}

template <int kWidth>
void launch(const AugmentProblem& p, const AugmentPointers& x, void* stream) {
  OCTET_LAUNCH(gather<kWidth>, static_cast<unsigned>(p.count), kThreads, stream, x, static_cast<int>(p.h),
               static_cast<int>(p.w), static_cast<int>(p.c));
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(augment_fwd_u8f32)(const AugmentProblem& p) {
  if (p.count > 0x7fffffff) return "more than 2^31 - 1 pictures";
  return p.h * p.w * p.c > 0x7fffffff ? "a picture of more than 2^31 - 1 values" : nullptr;
}
void OCTET_GPU_NAME(augment_fwd_u8f32)(const AugmentProblem& p, const AugmentPointers& x, const Context& context) {
  gpu::packable(static_cast<std::size_t>(p.h * p.w * p.c), 4, 16, {x.values}) ? launch<4>(p, x, context.stream)
                                                                              : launch<1>(p, x, context.stream);
  if (x.position != nullptr) OCTET_LAUNCH(advance, 1, 32, context.stream, x.position, static_cast<int>(p.count));
}

}  // namespace octet::kernels
