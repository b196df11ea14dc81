// Reference rows of linear: those of conv2d.
#include "kernels/linear/as_conv2d.h"

namespace octet::kernels {

OCTET_LINEAR_ROW(fwd, f32, reference)
OCTET_LINEAR_ROW(fwd, f64, reference)
OCTET_LINEAR_ROW(bwd_data, f32, reference)
OCTET_LINEAR_ROW(bwd_data, f64, reference)
OCTET_LINEAR_ROW(bwd_weight, f32, reference)
OCTET_LINEAR_ROW(bwd_weight, f64, reference)

}  // namespace octet::kernels
