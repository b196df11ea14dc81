#include "apps/mnv1_qat/methods.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace octet::app {
namespace {

using quant::ActivationQuantize;
using quant::Preprocess;
using quant::Scheme;
using quant::WeightQuantize;

constexpr std::array<Method, 11> kMethods{{
    {"ste", true, "Krishnamoorthi 2018",
     "straight-through; weights by the largest of a channel, values by its moving average",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::moving_average_abs_max;
     }},
    {"ste_per_tensor", true, "Jacob et al. 2018", "ste with one step for all weights of a layer",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::moving_average_abs_max;
     }},
    {"min_max", true, "Jacob et al. 2018",
     "ste with affine values, from the least to the largest seen; behind a ReLU they are ste's",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::min_max;
     }},
    {"range_abs_max", true, "PaddleSlim", "ste with values by the largest of the last window_size batches",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::range_abs_max;
     }},
    {"pact", true, "Choi et al. 2018", "ste with a learned clipping threshold for the values of each layer",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::moving_average_abs_max;
       o.quant.activation_preprocess_type = Preprocess::pact;
     }},
    {"lsq", true, "Esser et al. 2020",
     "learned steps: one for the values of a layer, one for each channel of its weights",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_lsq;
       o.quant.activation_quantize_type = ActivationQuantize::lsq;
     }},
    {"lsq_per_tensor", true, "Esser et al. 2020", "lsq with one step for all weights of a layer, as in the paper",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::lsq;
       o.quant.activation_quantize_type = ActivationQuantize::lsq;
     }},
    {"paddle", true, "PaddleSlim", "the reference tutorial's arithmetic: scheme paddle with its defaults",
     [](Options& o) {
       o.quant.scheme = Scheme::paddle;
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::moving_average_abs_max;
     }},
    {"ptq_abs_max", false, "Krishnamoorthi 2018", "calibrated only; values by the largest seen",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::abs_max;
     }},
    {"ptq_moving_average", false, "Krishnamoorthi 2018",
     "calibrated only; values by the moving average of the batches' largest",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::moving_average_abs_max;
     }},
    {"ptq_min_max", false, "Jacob et al. 2018", "calibrated only; affine values, from the least to the largest seen",
     [](Options& o) {
       o.quant.weight_quantize_type = WeightQuantize::channel_wise_abs_max;
       o.quant.activation_quantize_type = ActivationQuantize::min_max;
     }},
}};

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
