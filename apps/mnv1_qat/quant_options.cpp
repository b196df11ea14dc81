#include "apps/mnv1_qat/quant_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace octet::app {
namespace {

using Json = nlohmann::json;

enum class Form { text, number_or_bool, list };

struct Key {
  const char *flag, *name, *type, *help;
  Form form;
};

constexpr Key kKeys[] = {
    {"--scheme", "scheme", "octet|paddle|tensorrt",
     "octet: the contract of docs/quantization.md; paddle: the tutorial's arithmetic; tensorrt: all activations signed "
     "[octet]",
     Form::text},
    {"--weight-preprocess-type", "weight_preprocess_type", "None|PACT|DoReFa",
     "applied to weights before they are quantized [None]", Form::text},
    {"--activation-preprocess-type", "activation_preprocess_type", "None|PACT",
     "applied to activations before they are quantized [None]", Form::text},
    {"--weight-quantize-type", "weight_quantize_type", "[channel_wise_]abs_max|lsq|percentile|mse|sawb, kl",
     "scales of weights [channel_wise_abs_max]", Form::text},
    {"--activation-quantize-type", "activation_quantize_type",
     "moving_average_abs_max|abs_max|range_abs_max|min_max|lsq|percentile|kl|mse|dorefa",
     "scales of activations [moving_average_abs_max]", Form::text},
    {"--activation-affine", "activation_affine", "true|false",
     "zero points for activations, from both ends of the range, learned with lsq [false]", Form::number_or_bool},
    {"--activation-percentile", "activation_percentile", "P",
     "share of |x| that activations' percentile keeps, in % [99.99]", Form::number_or_bool},
    {"--weight-percentile", "weight_percentile", "P", "share of |w| that weights' percentile keeps, in % [99.9]",
     Form::number_or_bool},
    {"--ste", "ste", "scheme|masked|plain|ewgs",
     "gradients beyond a grid: as the scheme has it, stopped, passed; ewgs: stopped, and others scaled [scheme]",
     Form::text},
    {"--ewgs-delta", "ewgs_delta", "D", "how strongly ewgs scales gradients [0.1]", Form::number_or_bool},
    {"--activation-power-of-two", "activation_power_of_two", "true|false",
     "steps of activations are powers of two [false]", Form::number_or_bool},
    {"--weight-power-of-two", "weight_power_of_two", "true|false", "steps of weights are powers of two [false]",
     Form::number_or_bool},
    {"--weight-bits", "weight_bits", "N", "bits of weights, 2 to 8 [8]", Form::number_or_bool},
    {"--activation-bits", "activation_bits", "N", "bits of activations, 2 to 8 [8]", Form::number_or_bool},
    {"--first-last-bits", "first_last_bits", "N", "2 to 8 for the first and the last layer; 0: as the others [0]",
     Form::number_or_bool},
    {"--moving-rate", "moving_rate", "R", "weight of the old value in moving averages [0.9]", Form::number_or_bool},
    {"--window-size", "window_size", "N", "batches that range_abs_max looks back on [10000]", Form::number_or_bool},
    {"--pact-decay", "pact_decay", "R", "L2 regularisation of PACT's thresholds [as --weight-decay]",
     Form::number_or_bool},
    {"--fuse-conv-bn", "fuse_conv_bn", "true|false",
     "fold batch norms into the weights once, before fine-tuning, which then has none [false]", Form::number_or_bool},
    {"--batch-norm", "batch_norm", "kept|folded",
     "fine-tune with batch norms behind the quantized weights, or folded into them at every step [kept]", Form::text},
    {"--batch-norm-freeze-epoch", "batch_norm_freeze_epoch", "N",
     "epoch of fine-tuning, from 0, from which on statistics stay as they are; -1: none [-1]", Form::number_or_bool},
    {"--batch-norm-reestimate", "batch_norm_reestimate_batches", "N",
     "training batches that give statistics anew behind fine-tuning; 0: none [0]", Form::number_or_bool},
    {"--equalize", "equalize", "none|cross_layer|cross_layer_absorb",
     "scale neighbouring layers against each other first; absorb: high biases move on; folds batch norms [none]",
     Form::text},
    {"--adaround", "adaround_steps", "STEPS",
     "ptq: learn how to round weights, by so many steps for each layer; 0: to the nearest [0]", Form::number_or_bool},
    {"--bias-correction", "bias_correction", "none|empirical|analytic",
     "ptq: take the mean error of each channel off its bias [none]", Form::text},
    {"--oscillation-threshold", "oscillation_threshold", "R",
     "freeze weights whose codes flip to and fro more often than that, for example 0.02; 0: none [0]",
     Form::number_or_bool},
    {"--oscillation-threshold-end", "oscillation_threshold_end", "R",
     "to which the threshold goes by a cosine [it stays]", Form::number_or_bool},
    {"--oscillation-momentum", "oscillation_momentum", "R", "of frequencies and average codes [0.01]",
     Form::number_or_bool},
    {"--dampening", "dampening", "R",
     "pull weights to the middles of their bins, by a term of the loss that rises to this weight; 0: none",
     Form::number_or_bool},
    {"--distill", "distill", "W", "share of the loss that the pre-trained float net teaches, 0 to 1; 0: none",
     Form::number_or_bool},
    {"--distill-temperature", "distill_temperature", "T", "by which both nets' logits are divided [4]",
     Form::number_or_bool},
    {"--quantizable-layers", "quantizable_layer_type", "Conv2D,Linear,…",
     "layer types to quantize, separated by commas", Form::list},
};

Json value_of(const Key& key, const std::string& text) {
  if (key.form == Form::text) return text;
  if (key.form == Form::list) return CLI::detail::split(text, ',');
  const Json value = Json::parse(text, nullptr, false);
  return value.is_primitive() && !value.is_null()
             ? value
             : Json(text);  // what is neither number nor bool is refused by its key's name
}

}  // namespace

void QuantOptions::add_to(CLI::App& app) {
  const char* group = "Quantization";
  app.add_option("--quant-config", file_, "JSON file with the tutorial's keys; the options below replace its values")
      ->type_name("FILE")
      ->take_last()
      ->group(group);
  texts_.resize(std::size(kKeys));
  for (std::size_t i = 0; i < std::size(kKeys); ++i)
    options_.push_back(
        app.add_option(kKeys[i].flag, texts_[i], kKeys[i].help)->type_name(kKeys[i].type)->take_last()->group(group));
}

void QuantOptions::apply(quant::QuantConfig& config) const {
  if (!file_.empty()) config = quant::read_config(file_);
  for (std::size_t i = 0; i < options_.size(); ++i) {
    if (options_[i]->count() == 0) continue;
    const Json one{{kKeys[i].name, value_of(kKeys[i], texts_[i])}};
    quant::merge_config(config, one.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
}

bool QuantOptions::given() const {
  return !file_.empty() ||
         std::any_of(options_.begin(), options_.end(), [](const CLI::Option* option) { return option->count() > 0; });
}

}  // namespace octet::app
