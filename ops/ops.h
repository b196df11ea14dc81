// The differentiable catalogue. Activations N,H,W,C (or N,C); weights K,R,S,C (depthwise C,R,S,1; linear out,in).
// Every op takes f32 or f64 tensors (all of one dtype; f64 runs the reference kernels) and throws Error on shapes or
// dtypes that do not fit. Integer kernels are not here: they belong to the engine.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/autograd.h"
#include "kernels/problem.h"

namespace octet::ops {

using kernels::Activation;

struct Conv2dArgs {
  std::int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0;
};
/// src N,H,W,C · weight K,R,S,C (+ bias K, may be undefined) → N,P,Q,K.
Variable conv2d(const Variable& src, const Variable& weight, const Variable& bias, const Conv2dArgs& args = {});
/// src N,H,W,C · weight C,R,S,1 (+ bias C) → N,P,Q,C.
Variable dwconv2d(const Variable& src, const Variable& weight, const Variable& bias, const Conv2dArgs& args = {});
/// src N,K · weight M,K (+ bias M) → N,M.
Variable linear(const Variable& src, const Variable& weight, const Variable& bias);

/// Running statistics of a batch normalisation, updated in training: running = momentum·running + (1 − momentum)·batch.
struct BatchNormState {
  Tensor running_mean, running_var;  ///< c; f32 (f64 in gradient checks)
  double momentum = 0.9;             ///< weight of the old value, as PaddlePaddle counts it
  double epsilon = 1e-5;
  bool unbiased = false;  ///< running_var from the unbiased batch variance (PyTorch) or the biased one (Paddle)
};
/// Batch normalisation as an affine map (Ioffe & Szegedy 2015): returns {2, c}, row 0 scale = γ/√(var + ε), row 1
/// shift = β − mean·scale. Training: statistics of z (gradients flow through them) and the state is updated; evaluation:
/// running statistics, z undefined allowed. z: any rank, channels innermost.
/// `folded`: the weights of z have been through fold_batchnorm() with this state. Then the map is to be applied to that z: what the
/// normalisation of z without the factor gives, in evaluation scale = 1 (kernels/batchnorm_affine has the formulas).
Variable batchnorm_affine(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state,
                          bool training, bool folded = false);
/// weight·γ/√(running_var + ε) per entry of axis 0 (Jacob et al. 2018; Krishnamoorthi 2018): a weight, or a bias, as deployment
/// will have it. Gradients to weight and γ; the running variance counts as a constant.
Variable fold_batchnorm(const Variable& weight, const Variable& gamma, const BatchNormState& state);
/// act(fma(z, affine[0], affine[1])), channels innermost; affine {2, c}.
Variable affine_act(const Variable& z, const Variable& affine, Activation act);
/// affine_act(z, batchnorm_affine(z, …), act).
Variable batchnorm(const Variable& z, const Variable& gamma, const Variable& beta, BatchNormState& state, bool training,
                   Activation act = Activation::none);

Variable relu(const Variable& src);
Variable relu6(const Variable& src);
Variable activation(const Variable& src, Activation act);
Variable add(const Variable& a, const Variable& b);
/// Elementwise product with a constant of the same shape (no gradient to it).
Variable mul_constant(const Variable& a, const Tensor& b);
/// Joins along the channel (innermost) axis.
Variable concat(const std::vector<Variable>& parts);

struct Pool2dArgs {
  std::int64_t window_h = 2, window_w = 2, stride_h = 2, stride_w = 2, pad_h = 0, pad_w = 0;
};
/// Padding never wins.
Variable max_pool(const Variable& src, const Pool2dArgs& args);
/// Padding is not counted.
Variable avg_pool(const Variable& src, const Pool2dArgs& args);
/// N,H,W,C → N,1,1,C.
Variable global_avg_pool(const Variable& src);
/// N,… → N,rest.
Variable flatten(const Variable& src);
/// Zeroes each element with `probability` and scales the rest by 1/(1 − probability); numbers from (seed, step).
/// Identity when probability is 0.
Variable dropout(const Variable& src, double probability, std::uint64_t seed, std::uint64_t step);

/// Throws Error "[where] …" unless every label (s32, on the host) is in [0, classes).
void require_labels(const Tensor& labels, std::int64_t classes, const char* where);
/// Mean cross-entropy of softmax(logits N,C) against labels (s32, N; each in [0, C), else Error; labels on a device are not looked at)
/// → one element.
Variable softmax_cross_entropy(const Variable& logits, const Tensor& labels, double label_smoothing = 0);
/// T²·KL(softmax(teacher/T) ‖ softmax(logits/T)), mean over pictures (Hinton et al. 2015, section 2: T² keeps the gradient's size
/// where T changes) → one element. logits and teacher N,C; no gradient to the teacher.
Variable softmax_kl(const Variable& logits, const Tensor& teacher, double temperature);
/// Row-wise probabilities; no gradient.
Tensor softmax(const Tensor& logits);
/// Pictures whose label is among the k largest logits; among equal logits the lower class goes first. NaN never counts.
std::int64_t count_top_k(const Tensor& logits, const Tensor& labels, std::int64_t k);

/// Straight-through fake quantization (Bengio et al. 2013; Jacob et al. 2018): forward dequantize(quantize(x)), backward
/// the identity, zero outside the grid when `masked`. params.axis must be 0 when per channel.
Variable fake_quant(const Variable& src, const QuantParams& params, bool masked = true);
/// The same with the scales in a tensor f32 where src lies, 1 or one per entry of axis 0; `bounds`' own are ignored. Scales on a device
/// are not waited for: one that is not finite makes values that are not either.
Variable fake_quant(const Variable& src, const QuantParams& bounds, const Tensor& scale, bool masked);
/// Element-wise gradient scaling (Lee et al. 2021): the same forward; inside the grid a gradient g becomes
/// g·(1 + delta·sign(g)·(x − x_q) / step). The paper measures that distance in widths of the grid, so that its δ is
/// delta·(hi − lo).
Variable fake_quant_scaled(const Variable& src, const QuantParams& bounds, const Tensor& scale, bool masked,
                           double delta);
/// Σ (x − x̂)² over src, x̂ its value on the symmetric grid `bounds` with `scale` as in fake_quant(), where x lies inside the grid, and 0
/// where it is clipped (Nagel et al. 2022, equation 5) → one element. x̂ counts as a constant.
Variable grid_distance(const Variable& src, const QuantParams& bounds, const Tensor& scale);
/// A weight on a grid, as its quantizer has it.
struct WeightCodes {
  Tensor codes;        ///< s8, shape of the weight
  QuantParams params;  ///< rule onnx, zero point 0, one scale or K; weight = codes·scale
};
/// fake_quant() of an f32 weight per entry of axis 0, unmasked, on the symmetric grid of its own abs-max: one sweep finds
/// the scales (kernels::grid_scale), rounds, and notes the codes (undefined where they do not fit s8, or under paddle).
/// `bounds`: lo, hi, rule; its scale is ignored. Throws Error when the weight is not finite. On a device nothing is waited for: there
/// are no codes, `codes.params` has no scale, and a weight that is not finite makes values that are not either.
struct QuantizedWeight {
  Variable value;
  WeightCodes codes;
  Tensor scale;  ///< f32, one per entry of axis 0, where the weight lies
};
QuantizedWeight fake_quant_weight(const Variable& src, const QuantParams& bounds);
/// fake_quant_weight() whose work has been done: `value` is what it would make of src now, `scale` (f32, one per entry of axis 0) the
/// steps or thresholds.
Variable quantized_already(const Variable& src, const QuantParams& bounds, const Tensor& scale, Tensor value);
/// Learned step size (LSQ, Esser et al. 2020): `step` (1 or channels of axis 0) is a parameter; its gradient is scaled by
/// `gradient_scale`. Codes as in fake_quant with rule onnx, zero point and bounds of `params` (its scale is ignored). A step
/// that an update drove below kMinScale counts as kMinScale.
Variable fake_quant_learned(const Variable& src, const Variable& step, const QuantParams& params,
                            double gradient_scale);
/// LSQ+ (Bhalgat et al. 2020): an offset β (one element) is learned beside the step, x̂ = clip(round((x − β)/s), lo, hi)·s + β. Here the
/// zero point of `params` stands for −β/s, rounded, so that 0 is a code; the rounding passes gradients straight through: ds and dβ
/// are the paper's, Σ g·(q − z − x/s inside, lo or hi outside) and Σ g outside, both scaled by `gradient_scale`.
Variable fake_quant_learned(const Variable& src, const Variable& step, const Variable& offset,
                            const QuantParams& params, double gradient_scale);
/// PACT as PaddleSlim has it: y = x − relu(x − α) + relu(−α − x), α one element; dα = Σ_{x>α} g − Σ_{x<−α} g
/// (Choi et al. 2018 for x ≥ 0).
Variable pact(const Variable& src, const Variable& alpha);
/// DoReFa's weights (Zhou et al. 2016), scaled so that they end where they did: t·tanh(src), t = top/tanh(top); `top` = max |src|, one
/// element of src's type where src lies, counts as a constant.
Variable dorefa(const Variable& src, const Tensor& top);
/// Learned rounding (AdaRound, Nagel et al. 2020): h = clamp(σ(v)·(ζ − γ) + γ, 0, 1) with ζ = 1.1, γ = −0.1. On the host.
Variable rectified_sigmoid(const Variable& v);
/// The v of h in [0, 1].
double inverse_rectified_sigmoid(double h);
/// Σ (1 − |2h − 1|^β) → one element: least when every h is 0 or 1 (the same paper, eq. 24). On the host.
Variable rounding_penalty(const Variable& h, double beta);
/// Rounds row 1 of an affine {2, c} (or a bias {c}) to the accumulator's step, straight-through:
/// shift ← double-rounded rint(shift / (s_x·s_w'[c])) · (s_x·s_w'[c]) with s_w'[c] = fl(s_w[c]·|affine[0][c]|) (for a bias
/// s_w'[c] = s_w[c]); channels with s_w' = 0 or |code| > 2^30 pass unrounded. Steps are f32 where affine lies: s_x one, s_w one
/// or c. docs/quantization.md.
Variable round_shift(const Variable& affine, const Tensor& s_x, const Tensor& s_w);

struct LateGradient;  // ops/batchnorm.h

/// A raw conv output together with the affine map, activation and quantizer that its consumer applies while loading.
struct Deferred {
  Variable z;         ///< N,P,Q,K
  Variable affine{};  ///< {2, K}: scale and shift; undefined = identity
  Activation act = Activation::none;
  std::optional<QuantParams> quant{};    ///< plain straight-through quantizer applied last; none = floats
  Tensor scale{};                        ///< f32 {1} on a device: the quantizer's, whose own is empty then
  bool masked = true;                    ///< of `quant`, as in fake_quant
  Tensor low{}, high{};                  ///< K: extremes of z, where its producer was asked for them (wants_range)
  std::shared_ptr<LateGradient> late{};  ///< set by a fused producer: z's gradient through its batch statistics
};
/// The tensor that a Deferred stands for: fake_quant(act(z·scale + shift)).
Variable materialise(const Deferred& src);

/// The exact range of act(fma(z, scale, shift)), before the quantizer, from low and high alone: rounding and activation
/// are monotone, so the extremes of z make those of the result. f32 {2}, least and greatest, both NaN when there is one, where src
/// lies; undefined when the producer gave no extremes.
Tensor range_of(const Deferred& src);

struct ConvBnActArgs {
  Conv2dArgs conv;
  bool depthwise = false;
  bool training = false;
  bool folded = false;  ///< as in batchnorm_affine()
  Activation act = Activation::none;
  /// Applied to the batch-norm affine {2, K} (QAT rounds the shift here); empty = identity.
  std::function<Variable(const Variable&)> on_affine{};
  bool wants_range = false;  ///< fill low and high of the result (only a fused form does)
  /// Where the weight was fake-quantized: what it is in codes, so that a quantized source can be convolved in integers.
  std::optional<WeightCodes> weight_codes{};
};
/// Conv, batch norm and activation with the latter two left to the consumer: convolves what src stands for, and returns
/// {z, on_affine(batchnorm_affine(z)), act}. Two forms, which agree bit for bit in f32 (forward, gradients, state):
/// decomposed: materialises src, then conv2d or dwconv2d, then batchnorm_affine; f64, tracing (RecordGuard), problems
///   that no vector row takes, and processes that force a vendor row for a plain pass.
/// fused: one kernel applies the map of src while it loads and takes the statistics of z while it stores; its backward
///   pass mirrors it (kernels/conv_bn.h). A source that only unmapped rows take (stems) is materialised first.
/// A fused 1x1 conv2d of a quantized source whose weight_codes are known runs in integers, forward: z is then the exact
/// sum of products, rounded when it becomes a float and by one product, where the float form rounds K times.
Deferred conv_bn_act(const Deferred& src, const Variable& weight, const Variable& gamma, const Variable& beta,
                     BatchNormState& state, const ConvBnActArgs& args);

/// Which forms conv_bn_act() may take: off = decomposed only; floats = fused, forward in floats; integers = all.
/// Starts as OCTET_FUSE says (off, floats, integers; default integers). Process-wide: for tests and benchmarks.
enum class Fusion : std::uint8_t { off, floats, integers };
void set_fusion(Fusion fusion);
Fusion fusion();

/// What fused convolutions — on the processor 1x1, on a device all but depthwise — multiply while gradients are recorded:
/// operands in f32, or rounded to bf16 (half to even) with sums in f32. Weights, activations and gradients in memory,
/// everything else and all evaluation stay f32; so do the integers of a quantized forward. Process-wide, f32 at start.
/// bf16 throws Error where nets lie on a processor without bf16 products.
enum class Precision : std::uint8_t { f32, bf16 };
void set_precision(Precision precision, Device where = Device::cpu);
Precision precision();

}  // namespace octet::ops
