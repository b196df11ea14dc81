#include "kernels/conv2d_bn/cuda_passes.h"

namespace octet::kernels {

OCTET_CONV2D_BN_DEVICE_ROW(f32, FloatMath)

}  // namespace octet::kernels
