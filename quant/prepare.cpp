#include "quant/prepare.h"

#include <algorithm>
#include <map>
#include <set>

#include "nn/layers.h"
#include "quant/calibration/equalize.h"
#include "quant/deployment/value_classes.h"
#include "quant/observers/make_observer.h"
#include "quant/quantizers/dorefa.h"
#include "quant/quantizers/fake_quantizer.h"
#include "quant/quantizers/learned_step.h"
#include "quant/quantizers/shift_rounder.h"

namespace octet::quant {
namespace {

constexpr const char* kWhere = "prepare";

std::shared_ptr<Pact> pact_if(Preprocess preprocess) {
  return preprocess == Preprocess::pact ? std::make_shared<Pact>() : nullptr;
}

/// The bits that the configuration wants for each module, and which of its entries were of use.
class BitsOfLayers {
 public:
  BitsOfLayers(const nn::Module& model, const nn::Graph& graph, const QuantConfig& config) : config_(config) {
    for (const auto& [path, module] : model.named_modules()) paths_[module] = path;
    for (const nn::GraphNode& node : graph.nodes) {
      if (!is_quantized_layer(node, config)) continue;
      if (first_ == nullptr) first_ = node.module;
      last_ = node.module;
    }
  }
  int of_weight(const nn::Module* module) { return of(module).weight_bits; }
  int of_input(const nn::Module* module) { return of(module).activation_bits; }
  /// Throws Error when an entry matched no module that was asked for.
  void require_all_used() const {
    for (const LayerBits& entry : config_.layer_bits) {
      std::string known;
      bool used = false;
      for (const std::string& path : asked_)
        used = used || matches(entry.layer, path), known += (known.empty() ? "" : ", ") + path;
      if (!used)
        fail(kWhere, fmt::format("layer_bits names '{}', which is no quantized layer", entry.layer), "known: " + known);
    }
  }

 private:
  LayerBits of(const nn::Module* module) {
    const std::string& path = paths_.at(module);
    asked_.insert(path);
    if (config_.first_last_bits != 0 && (module == first_ || module == last_))
      return bits_of(config_.layer_bits, path, config_.first_last_bits, config_.first_last_bits);
    return bits_of(config_.layer_bits, path, config_.weight_bits, config_.activation_bits);
  }
  const QuantConfig& config_;
  const nn::Module *first_ = nullptr, *last_ = nullptr;  ///< quantized layers
  std::map<const nn::Module*, std::string> paths_;
  std::set<std::string> asked_;
};

std::shared_ptr<FakeQuantizer> activation_quantizer(const QuantConfig& config, int bits, bool is_unsigned) {
  Grid grid;
  grid.bits = bits;
  grid.is_unsigned = is_unsigned;
  grid.affine = config.has_affine_activations();
  // PACT and DoReFa clip at −α and −1: no code may lie beyond.
  const bool is_clipped = config.activation_preprocess_type == Preprocess::pact ||
                          config.activation_quantize_type == ActivationQuantize::dorefa;
  grid.narrow = config.scheme == Scheme::paddle || is_clipped;
  grid.power_of_two = config.activation_power_of_two;
  if (is_learned(config.activation_quantize_type)) return LearnedStepQuantizer::for_activation(grid);
  if (config.scheme == Scheme::paddle) grid.rule = QuantRule::paddle;
  if (config.activation_quantize_type == ActivationQuantize::dorefa)
    return std::make_shared<FixedQuantizer>(grid.over({-kDorefaTop, kDorefaTop}));
  return std::make_shared<ActivationQuantizer>(grid, make_observer(config, grid),
                                               pact_if(config.activation_preprocess_type),
                                               SteOptions(config.ste, config.ewgs_delta));
}

std::shared_ptr<FakeQuantizer> picture_quantizer(const QuantConfig& config) {
  QuantParams params = Grid{}.bounds();
  params.scale = {config.activation_power_of_two ? kPicturePowerOfTwo : kPictureStep};
  return std::make_shared<FixedQuantizer>(params);
}

void quantize_shared_values(const nn::Graph& graph, const QuantConfig& config, BitsOfLayers& layers) {
  for (const ValueClass& values : value_classes(graph, slot_reads(graph, config, true))) {
    if (values.reads.empty()) continue;
    const bool is_unsigned = values.non_negative && config.scheme == Scheme::octet;
    int bits = 0;
    for (const SlotRead& read : values.reads) bits = std::max(bits, layers.of_input(read.module));
    const auto quantizer =
        values.picture_only ? picture_quantizer(config) : activation_quantizer(config, bits, is_unsigned);
    quantizer->set_reads_per_forward(static_cast<int>(values.reads.size()));
    for (const SlotRead& read : values.reads) read.module->set_slot(read.slot, quantizer);
  }
}

void quantize_layer_inputs(const nn::Graph& graph, const QuantConfig& config, BitsOfLayers& layers) {
  for (const SlotRead& read : slot_reads(graph, config, false))
    if (read.module->slot(read.slot) == nullptr)
      read.module->set_slot(read.slot, activation_quantizer(config, layers.of_input(read.module), false));
}

void quantize_weights(const nn::Graph& graph, const QuantConfig& config, BitsOfLayers& layers) {
  const bool reparametrise = config.weight_preprocess_type == Preprocess::dorefa;
  for (const nn::GraphNode& node : graph.nodes) {
    if (!is_quantized_layer(node, config) || node.module->slot("weight_transform") != nullptr) continue;
    const auto quantizer = weight_quantizer(config, layers.of_weight(node.module), node.parameters.at(0).shape()[0]);
    quantizer->set_reads_parameter(!reparametrise);
    node.module->set_slot("weight_transform", quantizer);
    if (reparametrise) node.module->set_slot("weight_parametrization", std::make_shared<DorefaWeight>());
  }
}

std::shared_ptr<ShiftRounder> rounder_of(const nn::Module& layer) {
  return std::make_shared<ShiftRounder>(std::dynamic_pointer_cast<FakeQuantizer>(layer.slot("input_transform")),
                                        std::dynamic_pointer_cast<FakeQuantizer>(layer.slot("weight_transform")));
}

void round_biases(const nn::Graph& graph, const QuantConfig& config) {
  std::map<nn::Module*, nn::Module*> layer_of;
  for (const nn::GraphNode& node : graph.nodes) {
    if (is_quantized_layer(node, config) && node.parameters.size() > 1)
      node.module->set_slot("bias_transform", rounder_of(*node.module));
    if (node.op != "affine_act") continue;
    const nn::GraphNode& before = graph.nodes[static_cast<std::size_t>(node.inputs.at(0))];
    const nn::GraphNode& affine = graph.nodes[static_cast<std::size_t>(node.inputs.at(1))];
    if (!is_quantized_layer(before, config) || dynamic_cast<nn::BatchNorm2d*>(affine.module) == nullptr) continue;
    if (layer_of.try_emplace(affine.module, before.module).first->second != before.module)
      fail(kWhere, fmt::format("batch norm {} follows several layers", affine.path),
           "give each layer a batch norm of its own");
    affine.module->set_slot("affine_transform", rounder_of(*before.module));
  }
}

/// Convolutions with the batch norm behind each. Throws Error where one cannot be folded into the other; `option` wants it.
std::map<nn::Conv2d*, nn::BatchNorm2d*> foldable_pairs(const nn::Graph& graph, const char* option) {
  const auto readers = value_readers(graph);
  std::map<nn::Conv2d*, nn::BatchNorm2d*> pairs;
  std::set<nn::BatchNorm2d*> taken;
  for (const nn::GraphNode& node : graph.nodes) {
    if (node.op != "affine_act") continue;
    const auto before = static_cast<std::size_t>(node.inputs.at(0));
    auto* conv = dynamic_cast<nn::Conv2d*>(graph.nodes[before].module);
    auto* batch_norm = dynamic_cast<nn::BatchNorm2d*>(graph.nodes[static_cast<std::size_t>(node.inputs.at(1))].module);
    const std::string& op = graph.nodes[before].op;
    if (conv == nullptr || batch_norm == nullptr || (op != "conv2d" && op != "dwconv2d")) continue;
    const bool known = pairs.contains(conv) && pairs[conv] == batch_norm;
    if (readers[before].size() != 1 || (!known && (pairs.contains(conv) || !taken.insert(batch_norm).second)))
      fail(kWhere, fmt::format("the batch norm behind {} cannot be folded into it", graph.nodes[before].path),
           fmt::format("{} needs each convolution to feed one batch norm of its own; leave the option off", option));
    pairs[conv] = batch_norm;
  }
  return pairs;
}

void fuse_batch_norms(const nn::Graph& graph) {
  for (const auto& [conv, batch_norm] : foldable_pairs(graph, "fuse_conv_bn")) batch_norm->fold_into(*conv);
}

/// Where weights are quantized; elsewhere folding would change nothing.
void fold_batch_norms(const nn::Graph& graph) {
  for (const auto& [conv, batch_norm] : foldable_pairs(graph, "batch_norm folded")) {
    FakeQuantizer* quantizer = quantizer_in(*conv, "weight_transform");
    if (quantizer == nullptr) continue;
    batch_norm->fold_while_training(*conv);
    quantizer->set_reads_parameter(false);
  }
}

}  // namespace

std::shared_ptr<FakeQuantizer> weight_quantizer(const QuantConfig& config, int bits, std::int64_t channels) {
  Grid grid;
  grid.bits = bits;
  grid.narrow = true;
  grid.power_of_two = config.weight_power_of_two;
  const WeightQuantize type = config.weight_quantize_type;
  if (type == WeightQuantize::lsq) return LearnedStepQuantizer::for_weight(grid, 1);
  if (type == WeightQuantize::channel_wise_lsq) return LearnedStepQuantizer::for_weight(grid, channels);
  if (config.scheme == Scheme::paddle) grid.rule = QuantRule::paddle;
  return std::make_shared<WeightQuantizer>(grid, weight_range(config), pact_if(config.weight_preprocess_type),
                                           SteOptions(config.ste, config.ewgs_delta));
}

void prepare(nn::Module& model, const Shape& shape, const QuantConfig& config, ChannelNormals* normals) {
  config.check();
  if (is_prepared(model))
    fail(kWhere, "the model has quantizers already", "prepare a model once, or call remove_quantizers() first");
  const nn::DeviceScope there(model.device());
  nn::Graph graph = nn::trace(model, shape);
  ChannelNormals said = channel_normals(graph);
  if (config.folds_batch_norms()) {
    fuse_batch_norms(graph);
    if (config.equalize != Equalize::none)
      equalize(model, shape, &said, config.equalize == Equalize::cross_layer_absorb);
    graph = nn::trace(model, shape);
  }
  if (normals != nullptr) *normals = std::move(said);
  BitsOfLayers layers(model, graph, config);
  if (config.scheme == Scheme::paddle)
    quantize_layer_inputs(graph, config, layers);
  else
    quantize_shared_values(graph, config, layers);
  quantize_weights(graph, config, layers);
  layers.require_all_used();
  if (config.batch_norm == BatchNormMode::folded) fold_batch_norms(graph);
  if (config.scheme != Scheme::paddle) round_biases(graph, config);
  OCTET_CHECK(is_prepared(model), kWhere, "the model has no layer to quantize among quantizable_layer_type");
}

bool is_prepared(const nn::Module& model) {
  for (const auto& [name, module] : model.named_modules())
    if (dynamic_cast<FakeQuantizer*>(module) != nullptr) return true;
  return false;
}

void remove_quantizers(nn::Module& model) {
  std::vector<nn::Module*> layers;  // collected first: emptying a slot destroys modules below it
  for (const auto& [name, module] : model.named_modules()) {
    if (!module->slot_names().empty()) layers.push_back(module);
    if (auto* batch_norm = dynamic_cast<nn::BatchNorm2d*>(module)) batch_norm->stop_folding();
  }
  for (nn::Module* layer : layers)
    for (const std::string& slot : layer->slot_names()) {
      const auto transform = layer->slot(slot);
      const bool is_own = dynamic_cast<FakeQuantizer*>(transform.get()) != nullptr ||
                          dynamic_cast<ShiftRounder*>(transform.get()) != nullptr ||
                          dynamic_cast<DorefaWeight*>(transform.get()) != nullptr;
      if (is_own) layer->set_slot(slot, nullptr);
    }
}

}  // namespace octet::quant
