#include <fmt/format.h>

#include "kernels/round_shift/round_shift.h"

namespace octet::kernels {

std::string RoundShiftProblem::str() const { return fmt::format("c{}{}", c, per_channel ? " per channel" : ""); }

#define OCTET_REFERENCE_ROW(dtypes, T)                                                                             \
  const char* round_shift_##dtypes##_reference_why_not(const RoundShiftProblem&) { return nullptr; }               \
  void round_shift_##dtypes##_reference(const RoundShiftProblem& p, const RoundShiftPointers& x, const Context&) { \
    for (std::int64_t i = 0; i < p.c; ++i) round_one_shift<T>(p, x, i);                                            \
  }
OCTET_REFERENCE_ROW(f32, float)
OCTET_REFERENCE_ROW(f64, double)
#undef OCTET_REFERENCE_ROW

}  // namespace octet::kernels
