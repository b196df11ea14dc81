// What conv2d and dwconv2d share: their kernels take the same pointers and differ in room and weight shape only.
#pragma once
#include <span>
#include <utility>

#include "kernels/conv2d/conv2d.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops::detail {

/// The three passes of a convolution room.
struct ConvPasses {
  std::span<const kernels::Conv2dRow> rows;
  const char* op;  ///< also the prefix of errors
  const char* fwd;
  const char* bwd_data;
  const char* bwd_weight;
};

/// The geometry of conv2d() or dwconv2d(), after every check of its operands but the bias.
kernels::ConvGeometry checked_convolution(const Variable& src, const Variable& weight, const Conv2dArgs& args,
                                          bool depthwise);

/// Runs and records a convolution whose operands have been checked against `geometry`.
Variable convolve(const ConvPasses& passes, const kernels::ConvGeometry& geometry, const Variable& src,
                  const Variable& weight, const Variable& bias, Attributes attributes);

}  // namespace octet::ops::detail
