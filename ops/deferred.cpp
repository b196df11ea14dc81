#include "ops/ops.h"

namespace octet::ops {

Variable materialise(const Deferred& src) {
  OCTET_CHECK(src.z.defined(), "deferred", "there is no raw output to materialise");
  return src.affine.defined() ? affine_act(src.z, src.affine, src.act) : activation(src.z, src.act);
}

}  // namespace octet::ops
