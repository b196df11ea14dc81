// What the split of batch norm into its neighbours needs inside ops: an affine made of statistics that are known
// already, and the gradient of those statistics on its way to the convolution that they were taken of.
#pragma once
#include <memory>

#include "ops/ops.h"

namespace octet::ops {

/// d z = (what the consumer of z returned) + fma(z, slope[c], offset[c]): the second term, which comes through the batch
/// statistics, is added by the backward pass of the convolution while it loads, so that no pass of its own makes it.
/// The backward pass of the affine fills it, which in the sort of backward() stands between consumer and convolution.
struct LateGradient {
  /// A consumer has given z its gradient. Where none has, nobody would call the convolution's backward pass, and the
  /// affine gives z the whole term itself.
  bool reached = false;
  Tensor slope, offset;  ///< c; undefined while nothing is to be added
};

namespace detail {

/// Batch statistics as batchnorm_stats gives them, {c} each.
struct Statistics {
  Tensor mean, variance;
};

/// batchnorm_affine() with the statistics of z given (training) or ignored (evaluation). `late`: see above; may be null.
Variable affine_of(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state, bool training,
                   bool folded, const Statistics& batch, std::shared_ptr<LateGradient> late);

/// affine_act(), which tells `late` (may be null) when z gets its gradient.
Variable apply_affine(const Variable& z, const Variable& affine, Activation act, std::shared_ptr<LateGradient> late);

}  // namespace detail
}  // namespace octet::ops
