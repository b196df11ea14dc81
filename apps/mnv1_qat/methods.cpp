#include "apps/mnv1_qat/methods.h"

#include <algorithm>

#include "core/closest_name.h"
#include "core/error.h"

namespace octet::app {
namespace {

using quant::BatchNormMode;
using quant::BiasCorrection;
using quant::Equalize;
using quant::Preprocess;
using quant::Scheme;
using quant::Ste;
using Values = quant::ActivationQuantize;
using Weights = quant::WeightQuantize;

constexpr double kPactDecay = 1e-3, kDampening = 0.1, kTaught = 0.5;
constexpr int kReestimateBatches = 100;
constexpr int kAdaroundSteps = 300;  // the paper takes 10000, with a rate that gets as far

void take(Options& o, Weights weights, Values values) {
  o.quant.weight_quantize_type = weights, o.quant.activation_quantize_type = values;
}
void ste(Options& o) { take(o, Weights::channel_wise_abs_max, Values::moving_average_abs_max); }
void pact(Options& o) { ste(o), o.quant.activation_preprocess_type = Preprocess::pact; }
void per_tensor(Options& o) { take(o, Weights::abs_max, Values::moving_average_abs_max); }
template <Values values>
void per_channel(Options& o) {
  take(o, Weights::channel_wise_abs_max, values);
}
void lsq(Options& o) { take(o, Weights::channel_wise_lsq, Values::lsq); }
/// The paper has one step for all weights of a layer.
void dorefa_weights(Options& o) {
  o.quant.weight_quantize_type = Weights::abs_max, o.quant.weight_preprocess_type = Preprocess::dorefa;
}
void lsq_plus(Options& o) { lsq(o), o.quant.activation_affine = true; }
void power_of_two(Options& o) { ste(o), o.quant.activation_power_of_two = o.quant.weight_power_of_two = true; }
/// With a threshold that falls, from and to where its authors let it for 4 bits.
void freeze(Options& o) { o.quant.oscillation_threshold = 0.1, o.quant.oscillation_threshold_end = 0.01; }
void least_error(Options& o) { take(o, Weights::channel_wise_mse, Values::mse); }

constexpr Method kMethods[] = {
    // Fine-tuned.
    {"ste", true, "Krishnamoorthi 2018",
     "straight-through; weights by the largest of a channel, values by its moving average", ste},
    {"ste_per_tensor", true, "Jacob et al. 2018", "ste with one step for all weights of a layer", per_tensor},
    {"ste_unmasked", true, "Bengio et al. 2013", "ste whose gradients pass beyond the grid's ends too",
     [](Options& o) { ste(o), o.quant.ste = Ste::plain; }},
    {"ewgs", true, "Lee et al. 2021", "ste whose gradients are scaled by how far from its code each value lies",
     [](Options& o) { ste(o), o.quant.ste = Ste::ewgs; }},
    {"ste_power_of_two", true, "Jain et al. 2020", "ste with steps that are powers of two", power_of_two},
    {"ste_percentile", true, "McKinstry et al. 2018", "ste with values clipped at a percentile",
     per_channel<Values::percentile>},
    {"ste_kl", true, "Migacz 2017", "ste with values clipped where their histogram diverges least",
     per_channel<Values::kl>},
    {"ste_mse", true, "Sung et al. 2015",
     "ste with weights and values clipped where the squared rounding error is least", least_error},
    {"min_max", true, "Jacob et al. 2018",
     "ste with affine values, from the least to the largest seen; behind a ReLU they are ste's",
     per_channel<Values::min_max>},
    {"range_abs_max", true, "PaddleSlim", "ste with values by the largest of the last window_size batches",
     per_channel<Values::range_abs_max>},
    {"ste_bn_folded", true, "Krishnamoorthi 2018", "ste on weights with their batch norm's scale in them",
     [](Options& o) { ste(o), o.quant.batch_norm = BatchNormMode::folded; }},
    {"ste_bn_frozen", true, "Krishnamoorthi 2018",
     "ste whose statistics stay as they are for the second half of the epochs",
     [](Options& o) { ste(o), o.quant.batch_norm_freeze_epoch = static_cast<int>(o.qat_epochs / 2); }},
    {"ste_bn_reestimated", true, "Nagel et al. 2022", "ste with statistics taken anew behind the last epoch",
     [](Options& o) { ste(o), o.quant.batch_norm_reestimate_batches = kReestimateBatches; }},
    {"ste_freeze", true, "Nagel et al. 2022", "ste that freezes weights whose codes flip to and fro",
     [](Options& o) { ste(o), freeze(o); }},
    {"ste_dampen", true, "Nagel et al. 2022", "ste with a term of the loss that pulls weights to their codes",
     [](Options& o) { ste(o), o.quant.dampening = kDampening; }},
    {"ste_distill", true, "Hinton et al. 2015", "ste whose loss is half the labels' and half the float net's",
     [](Options& o) { ste(o), o.quant.distill = kTaught; }},
    {"pact", true, "Choi et al. 2018", "ste with a learned clipping threshold for the values of each layer", pact},
    {"pact_decay", true, "Choi et al. 2018", "pact with thresholds that decay by 0.001",
     [](Options& o) { pact(o), o.quant.pact_decay = kPactDecay; }},
    {"sawb_pact", true, "Choi et al. 2018", "pact with weights clipped where two of their moments say (SAWB)",
     [](Options& o) { pact(o), o.quant.weight_quantize_type = Weights::sawb; }},
    {"dorefa", true, "Zhou et al. 2016", "weights squeezed by tanh, values clipped to [0, 1]",
     [](Options& o) { dorefa_weights(o), o.quant.activation_quantize_type = Values::dorefa; }},
    {"dorefa_pact", true, "Choi et al. 2018", "pact with DoReFa's weights, as PACT's paper has it",
     [](Options& o) { pact(o), dorefa_weights(o); }},
    {"lsq", true, "Esser et al. 2020",
     "learned steps: one for the values of a layer, one for each channel of its weights", lsq},
    {"lsq_freeze", true, "Nagel et al. 2022",
     "lsq that freezes oscillating weights, with statistics taken anew at the end",
     [](Options& o) { lsq(o), freeze(o), o.quant.batch_norm_reestimate_batches = kReestimateBatches; }},
    {"lsq_distill", true, "Hinton et al. 2015", "lsq whose loss is half the labels' and half the float net's",
     [](Options& o) { lsq(o), o.quant.distill = kTaught; }},
    {"lsq_plus", true, "Bhalgat et al. 2020", "lsq whose values have a learned offset too", lsq_plus},
    {"lsq_per_tensor", true, "Esser et al. 2020", "lsq with one step for all weights of a layer, as in the paper",
     [](Options& o) { take(o, Weights::lsq, Values::lsq); }},
    {"paddle", true, "PaddleSlim", "the reference tutorial's arithmetic: scheme paddle with its defaults",
     [](Options& o) { ste(o), o.quant.scheme = Scheme::paddle; }},
    // Calibrated.
    {"ptq_abs_max", false, "Krishnamoorthi 2018", "values by the largest seen, weights by the largest of a channel",
     per_channel<Values::abs_max>},
    {"ptq_moving_average", false, "Krishnamoorthi 2018", "values by the moving average of the batches' largest", ste},
    {"ptq_min_max", false, "Jacob et al. 2018", "affine values, from the least to the largest seen",
     per_channel<Values::min_max>},
    {"ptq_percentile", false, "McKinstry et al. 2018", "values clipped at a percentile",
     per_channel<Values::percentile>},
    {"ptq_kl", false, "Migacz 2017", "values clipped where their histogram diverges least", per_channel<Values::kl>},
    {"ptq_mse", false, "Sung et al. 2015", "weights and values clipped where the squared rounding error is least",
     least_error},
    {"ptq_power_of_two", false, "Jain et al. 2020", "ptq_moving_average with steps that are powers of two",
     power_of_two},
    {"ptq_bias_corrected", false, "Nagel et al. 2019",
     "ptq_moving_average with the mean error of each channel taken off its bias",
     [](Options& o) { ste(o), o.quant.bias_correction = BiasCorrection::empirical; }},
    {"ptq_adaround", false, "Nagel et al. 2020",
     "ptq_moving_average whose weights learn to be rounded up or down, layer by layer",
     [](Options& o) { ste(o), o.quant.adaround_steps = kAdaroundSteps; }},
    {"ptq_per_tensor", false, "Jacob et al. 2018", "ptq_moving_average with one step for all weights of a layer",
     per_tensor},
    {"ptq_equalized", false, "Nagel et al. 2019",
     "ptq_per_tensor with the channels of neighbouring layers equalized before",
     [](Options& o) { per_tensor(o), o.quant.equalize = Equalize::cross_layer; }},
    {"ptq_dfq", false, "Nagel et al. 2019",
     "ptq_equalized with high biases absorbed and biases corrected by the batch norms",
     [](Options& o) {
       per_tensor(o), o.quant.equalize = Equalize::cross_layer_absorb,
                      o.quant.bias_correction = BiasCorrection::analytic;
     }},
};

}  // namespace

std::span<const Method> methods() { return kMethods; }

std::vector<const Method*> find_methods(const std::vector<std::string>& names) {
  std::vector<const Method*> found;
  std::vector<std::string> known{"all"};
  for (const Method& method : kMethods) known.push_back(method.name);
  for (const std::string& name : names) {
    const std::size_t before = found.size();
    for (const Method& method : kMethods)
      if (name == "all" || name == method.name) found.push_back(&method);
    if (found.size() == before)
      fail("compare", fmt::format("method '{}' is unknown", name),
           fmt::format("did you mean '{}'? mnv1_qat compare --list prints all", closest_name(name, known)));
  }
  for (std::size_t i = 0; i < found.size(); ++i)
    OCTET_CHECK(std::find(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(i), found[i]) ==
                    found.begin() + static_cast<std::ptrdiff_t>(i),
                "compare", "method '{}' is given twice", found[i]->name);
  return found;
}

}  // namespace octet::app
