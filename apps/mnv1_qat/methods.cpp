#include "apps/mnv1_qat/methods.h"

#include <algorithm>

#include "core/error.h"

namespace octet::app {
namespace {

using quant::Preprocess;
using quant::Scheme;
using quant::Ste;
using Values = quant::ActivationQuantize;
using Weights = quant::WeightQuantize;

void take(Options& o, Weights weights, Values values) {
  o.quant.weight_quantize_type = weights, o.quant.activation_quantize_type = values;
}
void ste(Options& o) { take(o, Weights::channel_wise_abs_max, Values::moving_average_abs_max); }

constexpr Method kMethods[] = {
    // Fine-tuned.
    {"ste", true, "Krishnamoorthi 2018",
     "straight-through; weights by the largest of a channel, values by its moving average", ste},
    {"ste_per_tensor", true, "Jacob et al. 2018", "ste with one step for all weights of a layer",
     [](Options& o) { take(o, Weights::abs_max, Values::moving_average_abs_max); }},
    {"ste_unmasked", true, "Bengio et al. 2013", "ste whose gradients pass beyond the grid's ends too",
     [](Options& o) { ste(o), o.quant.ste = Ste::plain; }},
    {"ste_mse_weights", true, "Sung et al. 2015",
     "ste with weights clipped where the squared rounding error is least",
     [](Options& o) { take(o, Weights::channel_wise_mse, Values::moving_average_abs_max); }},
    {"min_max", true, "Jacob et al. 2018",
     "ste with affine values, from the least to the largest seen; behind a ReLU they are ste's",
     [](Options& o) { take(o, Weights::channel_wise_abs_max, Values::min_max); }},
    {"range_abs_max", true, "PaddleSlim", "ste with values by the largest of the last window_size batches",
     [](Options& o) { take(o, Weights::channel_wise_abs_max, Values::range_abs_max); }},
    {"pact", true, "Choi et al. 2018", "ste with a learned clipping threshold for the values of each layer",
     [](Options& o) { ste(o), o.quant.activation_preprocess_type = Preprocess::pact; }},
    {"lsq", true, "Esser et al. 2020",
     "learned steps: one for the values of a layer, one for each channel of its weights",
     [](Options& o) { take(o, Weights::channel_wise_lsq, Values::lsq); }},
    {"lsq_per_tensor", true, "Esser et al. 2020", "lsq with one step for all weights of a layer, as in the paper",
     [](Options& o) { take(o, Weights::lsq, Values::lsq); }},
    {"paddle", true, "PaddleSlim", "the reference tutorial's arithmetic: scheme paddle with its defaults",
     [](Options& o) { ste(o), o.quant.scheme = Scheme::paddle; }},
    // Calibrated.
    {"ptq_abs_max", false, "Krishnamoorthi 2018", "values by the largest seen, weights by the largest of a channel",
     [](Options& o) { take(o, Weights::channel_wise_abs_max, Values::abs_max); }},
    {"ptq_moving_average", false, "Krishnamoorthi 2018", "values by the moving average of the batches' largest", ste},
    {"ptq_min_max", false, "Jacob et al. 2018", "affine values, from the least to the largest seen",
     [](Options& o) { take(o, Weights::channel_wise_abs_max, Values::min_max); }},
    {"ptq_mse_weights", false, "Sung et al. 2015",
     "ptq_moving_average with weights clipped where the squared rounding error is least",
     [](Options& o) { take(o, Weights::channel_wise_mse, Values::moving_average_abs_max); }},
};

}  // namespace

std::span<const Method> methods() { return kMethods; }

std::vector<const Method*> find_methods(const std::vector<std::string>& names) {
  std::vector<const Method*> found;
  std::string known = "all";
  for (const Method& method : kMethods) known += std::string(", ") + method.name;
  for (const std::string& name : names) {
    const std::size_t before = found.size();
    for (const Method& method : kMethods)
      if (name == "all" || name == method.name) found.push_back(&method);
    if (found.size() == before) fail("compare", fmt::format("method '{}' is unknown", name), "known: " + known);
  }
  for (std::size_t i = 0; i < found.size(); ++i)
    OCTET_CHECK(std::find(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(i), found[i]) ==
                    found.begin() + static_cast<std::ptrdiff_t>(i),
                "compare", "method '{}' is given twice", found[i]->name);
  return found;
}

}  // namespace octet::app
