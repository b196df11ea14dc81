#include <fmt/core.h>

#include "kernels/score/score.h"

namespace octet::kernels {

std::string ScoreProblem::str() const { return fmt::format("pictures {} classes {}", pictures, classes); }

std::span<const ScoreRow> score_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr ScoreRow rows[] = {
#include "kernels/score/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
