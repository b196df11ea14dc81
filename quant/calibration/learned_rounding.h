// Which weights of a layer to round up, which down, so that the layer makes what it did: AdaRound (Nagel et al., "Up or
// down? Adaptive rounding for post-training quantization", 2020).
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "core/quant_params.h"
#include "nn/module.h"
#include "ops/ops.h"

namespace octet::quant {

/// A layer: what enters it, and what it should make.
struct RoundingProblem {
  const nn::Module* layer = nullptr;  ///< convolution or linear: how products are made
  Tensor weight;                      ///< f32, to be rounded
  QuantParams grid;                   ///< symmetric, its scale of one kind or per entry of axis 0
  std::vector<bool> fixed;            ///< weights that keep their nearest code; empty: none
  Tensor src;                         ///< f32, pictures outermost
  Tensor dst;                         ///< f32, what should come of it, behind affine and activation
  Tensor affine;                      ///< f32 {2, k}, behind the products
  ops::Activation act = ops::Activation::none;
};

/// Σ over channels, mean over pictures and pixels, of (act(affine(weight ∗ src)) − dst)².
double rounding_error(const RoundingProblem& problem, const Tensor& weight);

struct RoundingOptions {
  std::int64_t steps = 1000;     ///< of Adam; the paper takes 10000
  std::int64_t batch_size = 32;  ///< pictures a step
  double travel = 10;            ///< Adam's rate times steps, about as far as a v gets; the paper's 10⁻³ times 10000
  double penalty = 10;           ///< λ, weight of the regulariser, in units of the nearest codes' error per weight
  double free_share = 0.2;       ///< of the steps come before it
  double beta_begin = 20, beta_end = 2;  ///< β falls in a line from then on
  std::uint64_t seed = 1, stream = 0;    ///< of the pictures drawn; the stream tells layers apart
};

struct LearnedRounding {
  Tensor weight;                    ///< on the grid, but for fixed ones, which are as they were
  double nearest = 0, learned = 0;  ///< rounding_error() of the nearest codes, and of these: never above
  std::int64_t changed = 0;         ///< weights that are not at their nearest code
};

/// Each weight is soft at first, s·(⌊w/s⌋ + h(v)), 0 ≤ h ≤ 1, starting where it is; Adam learns v by rounding_error()
/// of some pictures plus λ·Σ (1 − |2h − 1|^β), which drives h to 0 or 1. (The paper's λ = 0.01 counts in the square of
/// what the layer makes; one in units of the error suits layers of any size.) Where the result is worse than the
/// nearest codes, these are kept. `progress` hears of each step. Throws Error when there are no steps or no pictures in
/// one.
LearnedRounding learn_rounding(const RoundingProblem& problem, const RoundingOptions& options,
                               const std::function<void(std::int64_t step)>& progress = {});

}  // namespace octet::quant
