#include "quant/config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "core/closest_name.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json_text.h"

namespace octet::quant {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kWhere = "quant_config";
constexpr std::size_t kLargestFile = 1 << 20;

template <class E>
struct Name {
  E value;
  const char* text;
};
constexpr Name<Scheme> kSchemes[] = {
    {Scheme::octet, "octet"}, {Scheme::paddle, "paddle"}, {Scheme::tensorrt, "tensorrt"}};
constexpr Name<WeightQuantize> kWeightTypes[] = {
    {WeightQuantize::channel_wise_abs_max, "channel_wise_abs_max"},
    {WeightQuantize::abs_max, "abs_max"},
    {WeightQuantize::channel_wise_lsq, "channel_wise_lsq"},
    {WeightQuantize::lsq, "lsq"},
    {WeightQuantize::channel_wise_percentile, "channel_wise_percentile"},
    {WeightQuantize::percentile, "percentile"},
    {WeightQuantize::channel_wise_mse, "channel_wise_mse"},
    {WeightQuantize::mse, "mse"},
    {WeightQuantize::kl, "kl"},
    {WeightQuantize::channel_wise_sawb, "channel_wise_sawb"},
    {WeightQuantize::sawb, "sawb"},
};
constexpr Name<ActivationQuantize> kActivationTypes[] = {
    {ActivationQuantize::moving_average_abs_max, "moving_average_abs_max"},
    {ActivationQuantize::abs_max, "abs_max"},
    {ActivationQuantize::range_abs_max, "range_abs_max"},
    {ActivationQuantize::min_max, "min_max"},
    {ActivationQuantize::lsq, "lsq"},
    {ActivationQuantize::percentile, "percentile"},
    {ActivationQuantize::kl, "kl"},
    {ActivationQuantize::mse, "mse"},
    {ActivationQuantize::dorefa, "dorefa"},
};
constexpr Name<Preprocess> kPreprocesses[] = {
    {Preprocess::none, "None"}, {Preprocess::pact, "PACT"}, {Preprocess::dorefa, "DoReFa"}};
constexpr Name<Ste> kStes[] = {
    {Ste::scheme, "scheme"}, {Ste::masked, "masked"}, {Ste::plain, "plain"}, {Ste::ewgs, "ewgs"}};
constexpr Name<BatchNormMode> kBatchNormModes[] = {{BatchNormMode::kept, "kept"}, {BatchNormMode::folded, "folded"}};
constexpr Name<Equalize> kEqualize[] = {{Equalize::none, "none"},
                                        {Equalize::cross_layer, "cross_layer"},
                                        {Equalize::cross_layer_absorb, "cross_layer_absorb"}};
constexpr Name<BiasCorrection> kBiasCorrections[] = {
    {BiasCorrection::none, "none"}, {BiasCorrection::empirical, "empirical"}, {BiasCorrection::analytic, "analytic"}};

template <class Names>
const char* text_of(const Names& names, auto value) {
  for (const auto& name : names)
    if (name.value == value) return name.text;
  return "unknown";
}

template <class Names>
auto value_of(const Names& names, const std::string& key, const std::string& text) {
  std::string known;
  for (const auto& name : names) {
    if (text == name.text) return name.value;
    known += (known.empty() ? "" : ", ") + std::string(name.text);
  }
  fail(kWhere, fmt::format("{} '{}' is unknown", key, text), "known: " + known);
}

/// A value in a message; lists and objects, which may be deep, only by what they are.
std::string shown(const Json& json) { return json.is_structured() ? json.type_name() : json.dump(); }

std::string string_at(const Json& json, const std::string& key) {
  OCTET_CHECK(json.is_string(), kWhere, "{} must be a string, it is {}", key, shown(json));
  return json.get<std::string>();
}
double number_at(const Json& json, const std::string& key) {
  OCTET_CHECK(json.is_number(), kWhere, "{} must be a number, it is {}", key, shown(json));
  return json.get<double>();
}
std::optional<double> optional_number_at(const Json& json, const std::string& key) {
  if (json.is_null()) return std::nullopt;
  return number_at(json, key);
}
Json written(const std::optional<double>& number) { return number ? Json(*number) : Json(); }
int integer_at(const Json& json, const std::string& key) {
  const bool fits = json.is_number_integer() && std::fabs(json.get<double>()) < 1e9;
  OCTET_CHECK(fits, kWhere, "{} must be a whole number, it is {}", key, shown(json));
  return json.get<int>();
}
bool bool_at(const Json& json, const std::string& key) {
  OCTET_CHECK(json.is_boolean(), kWhere, "{} must be true or false, it is {}", key, shown(json));
  return json.get<bool>();
}
Preprocess preprocess_at(const Json& json, const std::string& key) {
  return json.is_null() ? Preprocess::none : value_of(kPreprocesses, key, string_at(json, key));
}
std::vector<std::string> strings_at(const Json& json, const std::string& key) {
  OCTET_CHECK(json.is_array(), kWhere, "{} must be a list of strings, it is {}", key, shown(json));
  std::vector<std::string> all;
  for (const Json& entry : json) all.push_back(string_at(entry, key));
  return all;
}

int bits_at(const Json& json, const std::string& key) {
  const int bits = integer_at(json, key);
  check_bits(key, bits);
  return bits;
}

/// A number of bits for both, or an object with one or both.
LayerBits layer_bits_at(const std::string& layer, const Json& json, const std::string& key) {
  const std::string where = fmt::format("{} of '{}'", key, layer);
  if (!json.is_object()) {
    const int bits = bits_at(json, where);
    return {layer, bits, bits};
  }
  LayerBits entry{layer, 0, 0};
  for (const auto& [name, bits] : json.items()) {
    if (name == "weight_bits")
      entry.weight_bits = bits_at(bits, where);
    else if (name == "activation_bits")
      entry.activation_bits = bits_at(bits, where);
    else
      fail(kWhere, fmt::format("{} has the key '{}'", where, name), "known: weight_bits, activation_bits");
  }
  return entry;  // check() refuses one that says nothing
}
std::vector<LayerBits> all_layer_bits_at(const Json& json, const std::string& key) {
  OCTET_CHECK(json.is_object(), kWhere, "{} must be an object of layer names, it is {}", key, shown(json));
  std::vector<LayerBits> all;
  for (const auto& [layer, bits] : json.items()) all.push_back(layer_bits_at(layer, bits, key));
  return all;
}
Json written(const std::vector<LayerBits>& all) {
  Json json = Json::object();
  for (const LayerBits& entry : all) {
    Json& bits = json[entry.layer] = Json::object();
    if (entry.weight_bits != 0) bits["weight_bits"] = entry.weight_bits;
    if (entry.activation_bits != 0) bits["activation_bits"] = entry.activation_bits;
  }
  return json;
}

/// One key: how it is read and how it is written.
struct Field {
  const char* key;
  void (*read)(QuantConfig&, const Json&, const std::string&);
  Json (*write)(const QuantConfig&);
};

#define FIELD(key, reader, writer)                                                                          \
  Field {                                                                                                   \
#key, [](QuantConfig & c, const Json& j,                                                                \
             const std::string& k) { c.key = reader; }, [](const QuantConfig& c) -> Json { return writer; } \
  }

std::span<const Field> fields() {
  static const Field all[] = {
      FIELD(scheme, value_of(kSchemes, k, string_at(j, k)), name_of(c.scheme)),
      FIELD(weight_preprocess_type, preprocess_at(j, k), name_of(c.weight_preprocess_type)),
      FIELD(activation_preprocess_type, preprocess_at(j, k), name_of(c.activation_preprocess_type)),
      FIELD(weight_quantize_type, value_of(kWeightTypes, k, string_at(j, k)), name_of(c.weight_quantize_type)),
      FIELD(activation_quantize_type, value_of(kActivationTypes, k, string_at(j, k)),
            name_of(c.activation_quantize_type)),
      FIELD(activation_affine, bool_at(j, k), c.activation_affine),
      FIELD(activation_percentile, number_at(j, k), c.activation_percentile),
      FIELD(weight_percentile, number_at(j, k), c.weight_percentile),
      FIELD(ste, value_of(kStes, k, string_at(j, k)), name_of(c.ste)),
      FIELD(ewgs_delta, number_at(j, k), c.ewgs_delta),
      FIELD(activation_power_of_two, bool_at(j, k), c.activation_power_of_two),
      FIELD(weight_power_of_two, bool_at(j, k), c.weight_power_of_two),
      FIELD(weight_bits, integer_at(j, k), c.weight_bits),
      FIELD(activation_bits, integer_at(j, k), c.activation_bits),
      FIELD(first_last_bits, integer_at(j, k), c.first_last_bits),
      FIELD(layer_bits, all_layer_bits_at(j, k), written(c.layer_bits)),
      FIELD(moving_rate, number_at(j, k), c.moving_rate),
      FIELD(window_size, integer_at(j, k), c.window_size),
      FIELD(quantizable_layer_type, strings_at(j, k), c.quantizable_layer_type),
      FIELD(pact_decay, optional_number_at(j, k), written(c.pact_decay)),
      FIELD(fuse_conv_bn, bool_at(j, k), c.fuse_conv_bn),
      FIELD(batch_norm, value_of(kBatchNormModes, k, string_at(j, k)), name_of(c.batch_norm)),
      FIELD(batch_norm_freeze_epoch, integer_at(j, k), c.batch_norm_freeze_epoch),
      FIELD(batch_norm_reestimate_batches, integer_at(j, k), c.batch_norm_reestimate_batches),
      FIELD(equalize, value_of(kEqualize, k, string_at(j, k)), name_of(c.equalize)),
      FIELD(adaround_steps, integer_at(j, k), c.adaround_steps),
      FIELD(bias_correction, value_of(kBiasCorrections, k, string_at(j, k)), name_of(c.bias_correction)),
      FIELD(oscillation_threshold, number_at(j, k), c.oscillation_threshold),
      FIELD(oscillation_threshold_end, optional_number_at(j, k), written(c.oscillation_threshold_end)),
      FIELD(oscillation_momentum, number_at(j, k), c.oscillation_momentum),
      FIELD(dampening, number_at(j, k), c.dampening),
      FIELD(distill, number_at(j, k), c.distill),
      FIELD(distill_temperature, number_at(j, k), c.distill_temperature),
      FIELD(dtype, string_at(j, k), c.dtype),
      FIELD(onnx_format, bool_at(j, k), c.onnx_format),
  };
  return all;
}
#undef FIELD

bool lists(const QuantConfig& config, const char* layer) {
  const auto& all = config.quantizable_layer_type;
  return std::find(all.begin(), all.end(), layer) != all.end();
}

}  // namespace

const char* name_of(Scheme scheme) { return text_of(kSchemes, scheme); }
const char* name_of(Preprocess preprocess) { return text_of(kPreprocesses, preprocess); }
const char* name_of(Ste ste) { return text_of(kStes, ste); }
const char* name_of(BatchNormMode mode) { return text_of(kBatchNormModes, mode); }
const char* name_of(WeightQuantize type) { return text_of(kWeightTypes, type); }
const char* name_of(ActivationQuantize type) { return text_of(kActivationTypes, type); }
const char* name_of(Equalize equalize) { return text_of(kEqualize, equalize); }
const char* name_of(BiasCorrection correction) { return text_of(kBiasCorrections, correction); }
bool is_per_channel(WeightQuantize type) {
  return type == WeightQuantize::channel_wise_abs_max || type == WeightQuantize::channel_wise_lsq ||
         type == WeightQuantize::channel_wise_percentile || type == WeightQuantize::channel_wise_mse ||
         type == WeightQuantize::channel_wise_sawb;
}
bool clips(WeightQuantize type) {
  return !is_learned(type) && type != WeightQuantize::channel_wise_abs_max && type != WeightQuantize::abs_max;
}
bool clips(ActivationQuantize type) {
  return type == ActivationQuantize::percentile || type == ActivationQuantize::kl || type == ActivationQuantize::mse ||
         type == ActivationQuantize::dorefa;
}
bool is_learned(ActivationQuantize type) { return type == ActivationQuantize::lsq; }
bool is_learned(WeightQuantize type) { return type == WeightQuantize::lsq || type == WeightQuantize::channel_wise_lsq; }
Scheme parse_scheme(const std::string& text) { return value_of(kSchemes, "scheme", text); }

bool QuantConfig::has_affine_activations() const {
  return activation_affine || activation_quantize_type == ActivationQuantize::min_max;
}
bool QuantConfig::quantizes_conv(bool depthwise) const {
  return lists(*this, "Conv2D") || (depthwise && lists(*this, "DepthwiseConv2D"));
}
bool QuantConfig::quantizes_linear() const { return lists(*this, "Linear"); }

QuantConfig structure_of(QuantConfig config) {
  config.fuse_conv_bn = config.folds_batch_norms();
  config.equalize = Equalize::none;
  return config;
}

void merge_config(QuantConfig& config, const std::string& json_text) {
  constexpr std::size_t kMostBytes = 1 << 16;
  OCTET_CHECK(is_modest_json(json_text, kMostBytes), kWhere, "a configuration has at most {} bytes and a few levels",
              kMostBytes);
  const Json json = Json::parse(json_text, nullptr, false);
  OCTET_CHECK(!json.is_discarded(), kWhere, "this is no JSON");
  OCTET_CHECK(json.is_object(), kWhere, "a JSON object of keys is expected, not {}", json.type_name());
  const auto all = fields();
  for (const auto& [key, value] : json.items()) {
    const auto at = std::find_if(all.begin(), all.end(), [&, &key = key](const Field& f) { return key == f.key; });
    if (at == all.end()) {
      std::vector<std::string> known;
      for (const Field& field : all) known.emplace_back(field.key);
      fail(
          kWhere, fmt::format("key '{}' is unknown", key),
          fmt::format("did you mean '{}'? docs/tutorial.md and docs/laboratory.md have all", closest_name(key, known)));
    }
    at->read(config, value, key);
  }
}

QuantConfig parse_config(const std::string& json_text) {
  QuantConfig config;
  merge_config(config, json_text);
  config.check();
  return config;
}

QuantConfig read_config(const std::string& path) {
  try {
    return parse_config(read_file(path, kLargestFile));
  } catch (const Error& error) {
    throw Error(fmt::format("{} (in {})", error.what(), path));
  }
}

std::string to_json(const QuantConfig& config) {
  Json json;
  for (const Field& field : fields()) json[field.key] = field.write(config);
  return json.dump(2) + "\n";
}

}  // namespace octet::quant
