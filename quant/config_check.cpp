// Which values of a configuration are out of range, and which contradict each other.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "quant/config.h"

namespace octet::quant {
namespace {

constexpr const char* kWhere = "quant_config";
constexpr const char* kLayers[] = {"Conv2D", "DepthwiseConv2D", "Linear"};

void check_percentile(const char* key, double percentile) {
  OCTET_CHECK(percentile > 50 && percentile <= 100, kWhere, "{} is {}, it must be more than 50 and at most 100", key,
              percentile);
}
void check_affine(const QuantConfig& c) {
  if (!c.has_affine_activations()) return;
  const char* key = c.activation_affine ? "activation_affine" : "activation_quantize_type min_max";
  if (c.scheme != Scheme::octet)
    fail(kWhere, fmt::format("{} has zero points, which scheme {} has not", key, name_of(c.scheme)),
         "use scheme octet");
  if (c.activation_quantize_type == ActivationQuantize::kl)
    fail(kWhere, "activation_quantize_type kl looks at sizes alone, an affine grid has two ends",
         "use percentile or mse, or leave activation_affine off");
  if (c.activation_quantize_type == ActivationQuantize::dorefa)
    fail(kWhere, "activation_quantize_type dorefa has a grid of its own, which starts at 0 or is symmetric",
         "leave activation_affine off");
}
void check_dorefa(const QuantConfig& c) {
  if (c.activation_preprocess_type == Preprocess::dorefa)
    fail(kWhere, "activation_preprocess_type DoReFa is unknown: it is about weights",
         "set activation_quantize_type to dorefa");
  if (c.weight_preprocess_type == Preprocess::dorefa && c.oscillation_threshold != 0)
    fail(kWhere, "oscillation_threshold freezes weights at codes, and DoReFa's codes are not of the weights themselves",
         "use one of the two");
}
void check_power_of_two(const char* key, bool wanted, const QuantConfig& c, const char* type, bool learns,
                        Preprocess preprocess) {
  if (!wanted) return;
  if (c.scheme == Scheme::paddle)
    fail(kWhere, fmt::format("{} is about steps, scheme paddle has thresholds", key), "use scheme octet or tensorrt");
  if (learns) fail(kWhere, fmt::format("{} rounds steps, {} learns them", key, type), "use one of the two");
  if (preprocess == Preprocess::pact)
    fail(kWhere,
         fmt::format("{} rounds up a step that follows from PACT's threshold, and its grid would end beyond it", key),
         "use one of the two");
}
/// A clipping threshold from the values and one from gradients at once.
void check_pact(const char* key, const char* type, bool learns, bool clips) {
  if (learns)
    fail(kWhere, fmt::format("{} {} learns its own threshold, PACT would learn another", key, type),
         "use one of the two");
  if (clips)
    fail(kWhere, fmt::format("{} {} chooses a threshold, PACT would learn another", key, type), "use one of the two");
}

void check_batch_norm(const QuantConfig& c) {
  OCTET_CHECK(c.batch_norm_freeze_epoch >= -1 && c.batch_norm_freeze_epoch <= 1000000, kWhere,
              "batch_norm_freeze_epoch is {}, it must be an epoch from 0 on, or -1 for none",
              c.batch_norm_freeze_epoch);
  OCTET_CHECK(c.batch_norm_reestimate_batches >= 0 && c.batch_norm_reestimate_batches <= 1000000, kWhere,
              "batch_norm_reestimate_batches is {}, it must be 0 to 1000000", c.batch_norm_reestimate_batches);
  if (!c.folds_batch_norms()) return;
  const char* other = c.batch_norm == BatchNormMode::folded ? "batch_norm folded"
                      : c.batch_norm_freeze_epoch >= 0      ? "batch_norm_freeze_epoch"
                      : c.batch_norm_reestimate_batches > 0 ? "batch_norm_reestimate_batches"
                                                            : nullptr;
  if (other != nullptr)
    fail(kWhere,
         fmt::format("{} leaves no batch norm to train, and {} needs one", c.fuse_conv_bn ? "fuse_conv_bn" : "equalize",
                     other),
         "use one of the two");
}

void check_oscillations(const QuantConfig& c) {
  const auto check = [](const char* key, double value) {
    OCTET_CHECK(value > 0 && value < 1, kWhere, "{} is {}, it must be above 0 and below 1", key, value);
  };
  check("oscillation_momentum", c.oscillation_momentum);
  if (c.oscillation_threshold != 0) check("oscillation_threshold", c.oscillation_threshold);
  if (!c.oscillation_threshold_end) return;
  check("oscillation_threshold_end", *c.oscillation_threshold_end);
  if (c.oscillation_threshold == 0)
    fail(kWhere, "oscillation_threshold_end is where a threshold ends, and there is none", "set oscillation_threshold");
}

void check_loss(const QuantConfig& c) {
  OCTET_CHECK(c.dampening >= 0 && std::isfinite(c.dampening), kWhere, "dampening is {}, it must be 0 or more",
              c.dampening);
  OCTET_CHECK(c.distill >= 0 && c.distill <= 1, kWhere, "distill is {}, it must be 0 to 1", c.distill);
  OCTET_CHECK(c.distill_temperature > 0 && std::isfinite(c.distill_temperature), kWhere,
              "distill_temperature is {}, it must be above 0", c.distill_temperature);
}

void check_pact_decay(const QuantConfig& c) {
  if (!c.pact_decay) return;
  OCTET_CHECK(*c.pact_decay >= 0 && std::isfinite(*c.pact_decay), kWhere, "pact_decay is {}, it must be 0 or more",
              *c.pact_decay);
  const bool has_thresholds =
      c.weight_preprocess_type == Preprocess::pact || c.activation_preprocess_type == Preprocess::pact;
  if (!has_thresholds)
    fail(kWhere, "pact_decay regularises PACT's thresholds, and there are none",
         "set weight_preprocess_type or activation_preprocess_type to PACT");
}

void check_adaround(const QuantConfig& c) {
  OCTET_CHECK(c.adaround_steps >= 0 && c.adaround_steps <= 1000000, kWhere,
              "adaround_steps is {}, it must be 0 to 1000000", c.adaround_steps);
  if (c.adaround_steps > 0 && clips(c.weight_quantize_type))
    fail(kWhere,
         fmt::format("adaround_steps moves weights, and the steps of weight_quantize_type {} would follow",
                     name_of(c.weight_quantize_type)),
         "use channel_wise_abs_max or abs_max");
  // Behind it there is no float weight left to take a layer's mean from.
  if (c.adaround_steps > 0 && c.bias_correction != BiasCorrection::none)
    fail(kWhere,
         fmt::format("adaround_steps keeps what layers make, their means too, and bias_correction {} would find "
                     "nothing to correct",
                     name_of(c.bias_correction)),
         "use one of the two");
}

}  // namespace

void QuantConfig::check() const {
  check_bits("weight_bits", weight_bits);
  check_bits("activation_bits", activation_bits);
  if (first_last_bits != 0) check_bits("first_last_bits", first_last_bits);
  for (const LayerBits& entry : layer_bits) {
    OCTET_CHECK(!entry.layer.empty(), kWhere, "layer_bits has an entry without a name");
    const std::string where = fmt::format("layer_bits of '{}'", entry.layer);
    OCTET_CHECK(entry.weight_bits != 0 || entry.activation_bits != 0, kWhere, "{} says nothing", where);
    if (entry.weight_bits != 0) check_bits(where, entry.weight_bits);
    if (entry.activation_bits != 0) check_bits(where, entry.activation_bits);
  }
  OCTET_CHECK(moving_rate >= 0 && moving_rate < 1, kWhere, "moving_rate is {}, it must be at least 0 and less than 1",
              moving_rate);
  OCTET_CHECK(window_size >= 1 && window_size <= 1000000, kWhere, "window_size is {}, it must be 1 to 1000000",
              window_size);
  if (dtype != "int8") fail(kWhere, fmt::format("dtype '{}' is unknown", dtype), "known: int8");
  OCTET_CHECK(!quantizable_layer_type.empty(), kWhere, "quantizable_layer_type is empty: nothing would be quantized");
  for (const std::string& layer : quantizable_layer_type)
    if (std::find(std::begin(kLayers), std::end(kLayers), layer) == std::end(kLayers))
      fail(kWhere, fmt::format("quantizable_layer_type '{}' is unknown", layer),
           "known: Conv2D, DepthwiseConv2D, Linear");
  check_adaround(*this);
  check_batch_norm(*this);
  check_pact_decay(*this);
  check_oscillations(*this);
  check_loss(*this);
  check_affine(*this);
  check_dorefa(*this);
  OCTET_CHECK(ewgs_delta > 0 && ewgs_delta < 2, kWhere, "ewgs_delta is {}, it must be above 0 and below 2", ewgs_delta);
  check_power_of_two("activation_power_of_two", activation_power_of_two, *this, name_of(activation_quantize_type),
                     is_learned(activation_quantize_type), activation_preprocess_type);
  check_power_of_two("weight_power_of_two", weight_power_of_two, *this, name_of(weight_quantize_type),
                     is_learned(weight_quantize_type), weight_preprocess_type);
  check_percentile("activation_percentile", activation_percentile);
  check_percentile("weight_percentile", weight_percentile);
  if (activation_preprocess_type == Preprocess::pact)
    check_pact("activation_quantize_type", name_of(activation_quantize_type), is_learned(activation_quantize_type),
               clips(activation_quantize_type));
  if (weight_preprocess_type == Preprocess::pact)
    check_pact("weight_quantize_type", name_of(weight_quantize_type), is_learned(weight_quantize_type),
               clips(weight_quantize_type));
}

}  // namespace octet::quant
