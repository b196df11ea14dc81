#include "kernels/conv2d/cuda_bf16_sums.h"
#include "kernels/conv2d_bn/cuda_passes.h"

namespace octet::kernels {

OCTET_CONV2D_BN_DEVICE_ROW(bf16, Bf16Math)

}  // namespace octet::kernels
