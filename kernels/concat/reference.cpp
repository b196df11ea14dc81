#include <fmt/format.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/concat/concat.h"

namespace octet::kernels {
namespace {

/// Runs of `part_width` elements between rows of two widths.
template <class T>
void copy_runs(const ConcatProblem& p, const T* from, std::int64_t from_width, T* to, std::int64_t to_width) {
  constexpr std::int64_t kRows = 512;
  parallel_for((p.rows + kRows - 1) / kRows, [&](std::int64_t task) {
    for (std::int64_t row = task * kRows; row < std::min(p.rows, (task + 1) * kRows); ++row)
      std::copy_n(from + row * from_width, p.part_width, to + row * to_width);
  });
}

template <class T>
void put(const ConcatProblem& p, const ConcatPointers& x) {
  copy_runs(p, static_cast<const T*>(x.from), p.part_width, static_cast<T*>(x.to) + p.at, p.width);
}
template <class T>
void take(const ConcatProblem& p, const ConcatPointers& x) {
  copy_runs(p, static_cast<const T*>(x.from) + p.at, p.width, static_cast<T*>(x.to), p.part_width);
}

}  // namespace

std::string ConcatProblem::str() const { return fmt::format("rows{} {}..{} of {}", rows, at, at + part_width, width); }

#define OCTET_REFERENCE_ROW(pass, dtypes, run)                                              \
  const char* pass##_##dtypes##_reference_why_not(const ConcatProblem&) { return nullptr; } \
  void pass##_##dtypes##_reference(const ConcatProblem& p, const ConcatPointers& x, const Context&) { run(p, x); }
OCTET_REFERENCE_ROW(concat_put, f32, put<float>)
OCTET_REFERENCE_ROW(concat_put, f64, put<double>)
OCTET_REFERENCE_ROW(concat_take, f32, take<float>)
OCTET_REFERENCE_ROW(concat_take, f64, take<double>)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
