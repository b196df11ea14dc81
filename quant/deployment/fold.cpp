#include "quant/deployment/fold.h"

#include <algorithm>
#include <cmath>

#include "core/diverged.h"

namespace octet::quant {
namespace {

constexpr double kMostBias = 1 << 30;
constexpr double kMostSum = 2147483647.0;
constexpr double kLeastProduct = 0x1p-100;  // of s_x·s'_w, and of that by s_y: far from the subnormal numbers

/// Everything about one output channel.
struct Channel {
  double bias = 0, scale = 1, shift = 0;
  bool has_affine = false;
  float weight_step = 0;
};

class Folder {
 public:
  Folder(const FoldInput& layer, const std::string& name)
      : in_(layer),
        name_(name),
        channels_(layer.weight.shape()[0]),
        inner_(layer.weight.numel() / channels_),
        input_step_(layer.input_grid.step()) {
    const QuantParams& x = layer.input_grid;
    input_reach_ = std::max(std::abs(x.lo - x.zero_point), std::abs(x.hi - x.zero_point));
    least_step_ = std::max<double>(kMinScale, kLeastProduct / input_step_);
    if (layer.output_grid) least_step_ = std::max(least_step_, kLeastProduct * layer.output_grid->step() / input_step_);
  }

  FoldedLayer run() {
    out_.codes = Tensor(in_.weight.shape(), DType::s8);
    for (std::int64_t c = 0; c < channels_; ++c) {
      const Channel channel = read(c);
      fold_codes(c, channel.scale < 0);
      fold_channel(c, channel);
      check_sum(c);
    }
    return std::move(out_);
  }

 private:
  void check_finite(std::int64_t c, double value, const char* what) const {
    if (!std::isfinite(value)) diverged("fold", fmt::format("{}: {} of channel {} is {}", name_, what, c, value));
  }

  Channel read(std::int64_t c) const {
    Channel channel;
    channel.weight_step = in_.weight_grid.step(in_.weight_grid.per_channel() ? static_cast<std::size_t>(c) : 0);
    if (in_.bias.defined()) channel.bias = in_.bias.data<float>()[c];
    if (in_.affine.defined()) {
      channel.has_affine = true;
      channel.scale = in_.affine.data<float>()[c];
      channel.shift = in_.affine.data<float>()[channels_ + c];
    }
    check_finite(c, channel.bias, "the bias");
    check_finite(c, channel.scale, "batch norm's scale");
    check_finite(c, channel.shift, "batch norm's shift");
    return channel;
  }

  void fold_codes(std::int64_t c, bool negate) {
    const float* weight = in_.weight.data<float>() + c * inner_;
    std::int8_t* codes = out_.codes.data<std::int8_t>() + c * inner_;
    const std::size_t at = in_.weight_grid.per_channel() ? static_cast<std::size_t>(c) : 0;
    for (std::int64_t i = 0; i < inner_; ++i) {
      check_finite(c, weight[i], "a weight");
      const std::int32_t q = in_.weight_grid.quantize(weight[i], at);
      codes[i] = static_cast<std::int8_t>(negate ? -q : q);
    }
  }

  /// q_b as training rounded it: the layer's own bias in steps of s_x·s_w, the shift in steps of s_x·s'_w.
  double bias_code(const Channel& channel, float step) const {
    const double s_x = input_step_;
    double code = 0;
    if (channel.bias != 0)
      code += std::copysign(1.0, channel.scale) * std::rint(channel.bias / (s_x * channel.weight_step));
    if (channel.shift != 0) code += std::rint(channel.shift / (s_x * step));
    return code;
  }

  void fold_channel(std::int64_t c, const Channel& channel) {
    float step = channel.weight_step * std::fabs(static_cast<float>(channel.scale));
    const double bias = channel.bias * channel.scale + channel.shift;
    const bool too_fine = !(step >= least_step_);
    double code = in_.float_bias || too_fine ? 0 : bias_code(channel, step);
    if (too_fine || std::fabs(code) > kMostBias) {
      const float coarse = coarser_step(step, bias);
      out_.notes.push_back({c, fmt::format("step {:.3g} coarsened to {:.3g} ({})", step, coarse,
                                           too_fine ? "scale is zero or tiny" : "bias too large")});
      coarsen_codes(c, static_cast<double>(step) / coarse);
      step = coarse;
      code = in_.float_bias ? 0 : std::rint(bias / (static_cast<double>(input_step_) * step));
    }
    check_finite(c, step, "the step");
    out_.step.push_back(step);
    if (in_.float_bias)
      out_.float_bias.push_back(static_cast<float>(bias));
    else
      out_.bias.push_back(static_cast<std::int32_t>(code));
  }

  float coarser_step(float step, double bias) const {
    double least = std::max<double>(step, least_step_);
    if (!in_.float_bias) least = std::max(least, std::fabs(bias) / (input_step_ * kMostBias));
    return static_cast<float>(least * (1 + 0x1p-20));  // room for the rounding of step and code
  }

  void coarsen_codes(std::int64_t c, double ratio) {
    std::int8_t* codes = out_.codes.data<std::int8_t>() + c * inner_;
    for (std::int64_t i = 0; i < inner_; ++i) codes[i] = static_cast<std::int8_t>(std::rint(codes[i] * ratio));
  }

  void check_sum(std::int64_t c) const {
    const std::int8_t* codes = out_.codes.data<std::int8_t>() + c * inner_;
    double sum = in_.float_bias ? 0 : std::fabs(static_cast<double>(out_.bias.back()));
    for (std::int64_t i = 0; i < inner_; ++i) sum += std::abs(codes[i]) * static_cast<double>(input_reach_);
    if (sum > kMostSum)
      fail("fold", fmt::format("{}: channel {} may accumulate {:.0f}, which 32 bits do not hold", name_, c, sum),
           "fewer weights per output, or fewer weight_bits");
  }

  const FoldInput& in_;
  const std::string& name_;
  std::int64_t channels_, inner_;
  float input_step_;
  std::int32_t input_reach_ = 0;
  double least_step_ = 0;
  FoldedLayer out_;
};

}  // namespace

FoldedLayer fold(const FoldInput& layer, const std::string& name) {
  OCTET_CHECK(layer.weight.defined() && layer.weight.shape().rank() >= 1 && layer.weight.numel() > 0, "fold",
              "{} has no weights", name);
  return Folder(layer, name).run();
}

}  // namespace octet::quant
