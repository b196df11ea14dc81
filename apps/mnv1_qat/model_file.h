// The files of a run: nets rebuilt from what their files say of themselves.
#pragma once
#include <array>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/mnv1_qat/options.h"
#include "core/safetensors.h"
#include "nn/module.h"
#include "optim/trainer.h"
#include "quant/config.h"
#include "quant/engine/graph.h"

namespace octet::app {

inline const Shape kPicture{1, 32, 32, 3};

/// What --net knows, and model files name.
inline constexpr std::array<const char*, 3> kNets{"mobilenet_v1", "mobilenet_v2", "small_resnet"};

/// What a model file says beside its tensors.
struct ModelNotes {
  std::string net = "mobilenet_v1";
  double scale = 1;
  std::string variant = "imagenet";
  std::vector<std::string> class_names;
  std::string data;   ///< trained on
  std::string quant;  ///< QuantConfig as JSON; empty for fp32
  std::string tag;    ///< options that made it, as JSON
  Metadata to_metadata() const;
  /// Throws Error naming `path` when something is missing or malformed.
  static ModelNotes from(const Metadata& metadata, const std::string& path);
};

/// A tag as a value: text where it is no object of the size that we write.
nlohmann::ordered_json parse_tag(const std::string& tag);

/// Adds what a model file says of itself, and the normalisation, to an integer graph.
void add_notes(engine::Graph& graph, const ModelNotes& notes);

/// small_resnet has the strides of CIFAR nets whatever the variant; its width is 16·scale.
std::shared_ptr<nn::Module> build_model(const ModelNotes& notes, nn::Init init, std::uint64_t seed);

struct LoadedModel {
  std::shared_ptr<nn::Module> net;
  ModelNotes notes;
};
/// An fp32 or QAT file as a net with its quantizers in place.
LoadedModel load_net(const std::string& path, Device device = Device::cpu);

/// What a file says it is: "model", "int8", "float" or another of docs/format.md. Throws Error when it says nothing.
std::string kind_of_file(const std::string& path);

/// Any kind of model as a predictor on a device: "fp32", "QAT", and for files of the engine "int8" or "float".
struct Predictor {
  std::string kind;
  optim::PredictFn predict;
  std::vector<std::string> class_names;
  std::string tag;  ///< as in ModelNotes; empty where the file has none
};
Predictor load_predictor(const std::string& path, Device device = Device::cpu);

std::uint64_t file_bytes(const std::string& path);

}  // namespace octet::app
