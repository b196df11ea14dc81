// Another form of conv_bn_act() for a while.
#pragma once
#include "kernels/select.h"
#include "ops/ops.h"

namespace octet::test {

/// Takes the plain rows of fused convolutions.
inline constexpr const char* kReferenceConvBnRows =
    "conv2d_bn_fwd:reference,conv2d_bn_bwd:reference,dwconv2d_bn_fwd:reference,dwconv2d_bn_bwd:reference";

/// Fusion, and rows forced where some are given, until it goes.
class FusionForm {
 public:
  explicit FusionForm(ops::Fusion fusion, const char* rows = nullptr) : forces_(rows != nullptr) {
    ops::set_fusion(fusion);
    if (forces_) kernels::force_kernels(rows);
  }
  ~FusionForm() {
    ops::set_fusion(before_);
    if (forces_) kernels::force_kernels("");
  }
  FusionForm(const FusionForm&) = delete;

 private:
  ops::Fusion before_ = ops::fusion();
  bool forces_;
};

}  // namespace octet::test
