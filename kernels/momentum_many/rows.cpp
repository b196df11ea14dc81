#include <fmt/core.h>

#include <algorithm>

#include "kernels/momentum_many/momentum_many.h"

namespace octet::kernels {

std::string MomentumManyProblem::str() const {
  return fmt::format("parts {} momentum {}{}", parts, momentum, nesterov ? " nesterov" : "");
}

void cut_into_parts(MomentumPart parameter, std::vector<MomentumPart>& parts) {
  const bool rows = parameter.quantized != nullptr;
  const std::int64_t most =
      rows ? std::max<std::int64_t>(kMomentumPart / parameter.inner, 1) * parameter.inner : kMomentumPart;
  for (std::int64_t left = parameter.count; left > 0; left -= parameter.count) {
    parameter.count = std::min(left, most);
    parts.push_back(parameter);
    parameter.gradient += parameter.count, parameter.velocity += parameter.count, parameter.weight += parameter.count;
    if (rows) parameter.quantized += parameter.count, parameter.scale += parameter.count / parameter.inner;
  }
}

std::span<const MomentumManyRow> momentum_many_rows() {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
  static constexpr MomentumManyRow rows[] = {
#include "kernels/momentum_many/kernels.inc"
  };
#undef KERNEL
  return rows;
}

}  // namespace octet::kernels
