#include "kernels/pact/pact.h"

namespace octet::kernels {

std::span<const PactRow> pact_rows() {
  static constexpr PactRow kRows[] = {
#define KERNEL(...) OCTET_KERNEL_ROW(__VA_ARGS__)
#include "kernels/pact/kernels.inc"
#undef KERNEL
  };
  return kRows;
}

}  // namespace octet::kernels
