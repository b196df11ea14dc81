// The device's matrix product with a plan of the test's choice, in the forms that this build has.
#pragma once
#include "kernels/conv2d/gemm_plan.h"

namespace octet::test {

struct ProductCase {
  std::int64_t rows, cols, depth;
  bool along_depth;  ///< operands are rows by depth, else depth by rows
  bool vectors;
  kernels::GemmPlan plan;
};

#define OCTET_PRODUCT(form) \
  void product_##form(const ProductCase& c, const float* a, const float* b, const float* bias, float* to, void* stream);
OCTET_PRODUCT(cuda)
OCTET_PRODUCT(emulated)
#undef OCTET_PRODUCT

}  // namespace octet::test
