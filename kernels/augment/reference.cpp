// The definition of a batch, value by value.
#include "kernels/augment/augment.h"

namespace octet::kernels {
namespace {

void show(const AugmentProblem& p, const std::uint8_t* picture, View view, float* to) {
  for (std::int64_t row = 0; row < p.h; ++row)
    for (std::int64_t column = 0; column < p.w; ++column) {
      const std::int64_t y = seen_row(row, view), x = seen_column(column, p.w, view);
      const bool empty = y < 0 || y >= p.h || x < 0 || x >= p.w || in_hole(row, column, view);
      for (std::int64_t channel = 0; channel < p.c; ++channel)
        *to++ = empty ? 0.0f : normalised(picture[(y * p.w + x) * p.c + channel]);
    }
}

}  // namespace

const char* augment_fwd_u8f32_reference_why_not(const AugmentProblem&) { return nullptr; }
void augment_fwd_u8f32_reference(const AugmentProblem& p, const AugmentPointers& x, const Context&) {
  const std::int64_t begin = x.position != nullptr ? *x.position : 0, size = p.h * p.w * p.c;
  for (std::int64_t i = 0; i < p.count; ++i) {
    const std::int64_t picture = x.order[begin + i];
    show(p, x.pictures + picture * size, x.views != nullptr ? x.views[begin + i] : View{}, x.values + i * size);
    x.batch_labels[i] = x.labels[picture];
  }
  if (x.position != nullptr) *x.position = static_cast<std::int32_t>(begin + p.count);
}

}  // namespace octet::kernels
