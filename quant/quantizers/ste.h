// Which gradients pass a quantizer that rounds: straight-through estimators.
#pragma once
#include "core/autograd.h"
#include "core/quant_params.h"
#include "quant/config.h"

namespace octet::quant {

/// A configuration's `ste` and `ewgs_delta`.
struct SteOptions {
  SteOptions(Ste ste_ = Ste::scheme, double delta_ = 0) : ste(ste_), delta(delta_) {}
  Ste ste;
  double delta;  ///< of ewgs
};

/// What that means under one rule.
struct PassThrough {
  bool masked = true;  ///< gradients of what is clipped stop
  double delta = 0;    ///< the others' are scaled by 1 + delta·sign(gradient)·(distance from the grid, in steps)
};
PassThrough pass_through(const SteOptions& options, QuantRule rule);

/// ops::fake_quant with that gradient.
Variable fake_quant(const Variable& src, const QuantParams& bounds, const Tensor& scale, const PassThrough& pass);

}  // namespace octet::quant
