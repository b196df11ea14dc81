#include "tests/gpu/products.h"

#include "kernels/conv2d/cuda_gemm.h"

namespace octet::test {

void OCTET_GPU_NAME(product)(const ProductCase& c, const float* a, const float* b, const float* bias, float* to,
                             void* stream) {
  using kernels::Columns, kernels::Rows;
  const auto rows = static_cast<int>(c.rows), cols = static_cast<int>(c.cols);
  if (c.along_depth)
    multiply(Rows{a, rows, c.depth}, Rows{b, cols, c.depth}, c.rows, c.cols, c.depth, c.plan, c.vectors, bias, to,
             stream);
  else
    multiply(Columns{a, rows}, Columns{b, cols}, c.rows, c.cols, c.depth, c.plan, c.vectors, bias, to, stream);
}

}  // namespace octet::test
