#include "core/quant_params.h"

#include "core/error.h"

namespace octet {
namespace {

float scale_of(const QuantParams& params, std::size_t c) {
  OCTET_CHECK(!params.scale.empty(), "quant_params", "a quantizer without a scale was used");
  if (!params.per_channel()) return params.scale[0];
  OCTET_CHECK(c < params.scale.size(), "quant_params", "channel {} of {} scales", c, params.scale.size());
  return params.scale[c];
}

}  // namespace

float QuantParams::step(std::size_t c) const {
  const float s = scale_of(*this, c);
  return rule == QuantRule::paddle ? s / static_cast<float>(hi) : s;
}

std::int32_t QuantParams::quantize(float x, std::size_t c) const {
  const float s = scale_of(*this, c);
  return rule == QuantRule::paddle ? qmath::quantize_paddle(x, s, hi) : qmath::quantize(x, s, zero_point, lo, hi);
}

float QuantParams::dequantize(std::int32_t q, std::size_t c) const {
  const float s = scale_of(*this, c);
  return rule == QuantRule::paddle ? qmath::dequantize_paddle(q, s, hi) : qmath::dequantize(q, s, zero_point);
}

std::string QuantParams::str() const {
  const char* rule_name = rule == QuantRule::paddle ? "paddle" : "onnx";
  std::string text = fmt::format("{} [{}, {}] z={}", rule_name, lo, hi, zero_point);
  if (scale.empty()) return text + " no scale";
  if (!per_channel()) return text + fmt::format(" s={:.9g}", scale[0]);
  return text + fmt::format(" {} scales on axis {}", scale.size(), axis);
}

}  // namespace octet
