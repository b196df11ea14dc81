#include "data/transform.h"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/cpu_features.h"
#include "core/parallel.h"
#include "data/dataset.h"

namespace octet::data {
namespace {

// All 256 answers of the division, so that it runs at the speed of a load.
const std::array<float, 256> kNormalised = [] {
  std::array<float, 256> table{};
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = kernels::normalised(static_cast<std::uint8_t>(i));
  return table;
}();

#if defined(__x86_64__)
// As the table has it: difference and quotient are rounded alike. Returns how many are done.
__attribute__((target("avx2"))) std::int64_t normalise_by_eights(const std::uint8_t* pixels, std::int64_t count,
                                                                 float* values) {
  const __m256 middle = _mm256_set1_ps(127.5f);
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + i)));
    _mm256_storeu_ps(values + i, _mm256_div_ps(_mm256_sub_ps(_mm256_cvtepi32_ps(bytes), middle), middle));
  }
  return i;
}
#endif

}  // namespace

void normalise(const std::uint8_t* pixels, std::int64_t count, float* values) {
  std::int64_t done = 0;
#if defined(__x86_64__)
  if (usable_isa() >= Isa::avx2) done = normalise_by_eights(pixels, count, values);
#endif
  for (std::int64_t i = done; i < count; ++i) values[i] = kNormalised[pixels[i]];
}

Tensor normalise(const Tensor& pictures) {
  Tensor values(pictures.shape());
  const std::uint8_t* from = pictures.data<std::uint8_t>();
  float* to = values.data<float>();
  const std::int64_t block = 1 << 16, count = pictures.numel();
  parallel_for((count + block - 1) / block, [&](std::int64_t i) {
    normalise(from + i * block, std::min(block, count - i * block), to + i * block);
  });
  return values;
}

namespace {

void cut_out(kernels::View view, float* values) {
  const auto edge = [](int at) { return std::clamp<std::int64_t>(at, 0, kSide); };
  const std::int64_t left = edge(view.hole_column), right = edge(view.hole_column + view.hole_side);
  for (std::int64_t row = edge(view.hole_row), end = edge(view.hole_row + view.hole_side); row < end; ++row)
    std::fill_n(values + (row * kSide + left) * kChannels, (right - left) * kChannels, 0.0f);
}

// Each output row is a run of border, a run of the picture (backwards when mirrored) and again border.
void shift_and_mirror(const std::uint8_t* pixels, kernels::View view, float* values) {
  const std::int64_t first = std::max<std::int64_t>(0, view.right),
                     last = std::min<std::int64_t>(kSide, kSide + view.right);  // columns of the picture that are seen
  const std::int64_t shown = last - first;
  const std::int64_t begin =
      view.mirrored ? kSide + view.right - last : first - view.right;  // where they start in the output
  std::uint8_t backwards[kSide * kChannels];
  for (std::int64_t row = 0; row < kSide; ++row, values += kSide * kChannels) {
    const std::int64_t from_row = kernels::seen_row(row, view);
    const bool outside = from_row < 0 || from_row >= kSide || shown <= 0;
    std::fill_n(values, (outside ? kSide : begin) * kChannels, 0.0f);
    if (outside) continue;
    const std::uint8_t* from = pixels + (from_row * kSide + first) * kChannels;
    float* to = values + begin * kChannels;
    if (view.mirrored) {
      for (std::int64_t i = 0; i < shown; ++i)
        std::memcpy(backwards + i * kChannels, from + (shown - 1 - i) * kChannels, kChannels);
      from = backwards;
    }
    normalise(from, shown * kChannels, to);
    std::fill_n(to + shown * kChannels, (kSide - begin - shown) * kChannels, 0.0f);
  }
}

}  // namespace

void show(const std::uint8_t* pixels, kernels::View view, float* values) {
  shift_and_mirror(pixels, view, values);
  cut_out(view, values);
}

}  // namespace octet::data
