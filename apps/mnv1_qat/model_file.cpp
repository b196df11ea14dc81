#include "apps/mnv1_qat/model_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/json_text.h"
#include "nn/models.h"
#include "optim/checkpoint.h"
#include "quant/engine/engine.h"
#include "quant/prepare.h"

namespace octet::app {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostClasses = 100000;

std::string kind_of(const TensorFile& file) {
  const auto kind = file.metadata.find("octet.kind");
  if (kind == file.metadata.end())
    fail("model", fmt::format("'{}' is no model of octet", file.name), "give fp32, qat or int8.safetensors of a run");
  return kind->second;
}

std::vector<std::string> names_from(const std::string& text, const std::string& path) {
  const Json j = Json::parse(text, nullptr, false);
  bool good = j.is_array() && !j.empty() && j.size() <= kMostClasses;
  for (std::size_t i = 0; good && i < j.size(); ++i) good = j[i].is_string();
  OCTET_CHECK(good, "model", "'{}': 'classes' is no list of names", path);
  return j.get<std::vector<std::string>>();
}

}  // namespace

Metadata ModelNotes::to_metadata() const {
  return {{"model", net},       {"scale", fmt::format("{}", scale)},
          {"variant", variant}, {"classes", Json(class_names).dump()},
          {"data", data},       {"quant", quant},
          {"tag", tag}};
}

nlohmann::ordered_json parse_tag(const std::string& tag) {
  constexpr std::size_t kLongest = 8192;
  auto j =
      is_modest_json(tag, kLongest) ? nlohmann::ordered_json::parse(tag, nullptr, false) : nlohmann::ordered_json();
  return j.is_object() ? j : nlohmann::ordered_json(tag.substr(0, kLongest));
}

ModelNotes ModelNotes::from(const Metadata& metadata, const std::string& path) {
  const auto get = [&](const char* key) {
    const auto at = metadata.find(key);
    OCTET_CHECK(at != metadata.end(), "model",
                "'{}' does not say its '{}' ---> HINT give a file that mnv1_qat has written", path, key);
    return at->second;
  };
  ModelNotes notes;
  notes.net = get("model");
  OCTET_CHECK(std::find(kNets.begin(), kNets.end(), notes.net) != kNets.end(), "model",
              "'{}' holds a '{}', which is none of {}", path, notes.net, fmt::join(kNets, ", "));
  const std::string scale = get("scale");
  char* end = nullptr;
  notes.scale = std::strtod(scale.c_str(), &end);
  OCTET_CHECK(*end == '\0' && notes.scale >= 0.25 && notes.scale <= 1, "model", "'{}': scale '{}' is not in [0.25, 1]",
              path, scale);
  notes.variant = get("variant");
  OCTET_CHECK(notes.variant == "imagenet" || notes.variant == "cifar", "model", "'{}': unknown variant '{}'", path,
              notes.variant);
  notes.class_names = names_from(get("classes"), path);
  notes.data = get("data"), notes.quant = get("quant"), notes.tag = get("tag");
  return notes;
}

void add_notes(engine::Graph& graph, const ModelNotes& notes) {
  for (const auto& [key, value] : notes.to_metadata()) graph.notes[key] = value;
  graph.notes["normalisation"] = "(x - 127.5) / 127.5";
}

std::shared_ptr<nn::Module> build_model(const ModelNotes& notes, nn::Init init, std::uint64_t seed) {
  const auto classes = static_cast<std::int64_t>(notes.class_names.size());
  const nn::Variant variant = notes.variant == "cifar" ? nn::Variant::cifar : nn::Variant::imagenet;
  if (notes.net == "mobilenet_v2") return nn::mobilenet_v2({classes, notes.scale, variant, init, seed});
  if (notes.net == "small_resnet") {
    nn::SmallResNetOptions options;
    options.classes = classes, options.width = std::llround(static_cast<double>(options.width) * notes.scale);
    options.init = init, options.seed = seed;
    return nn::small_resnet(options);
  }
  return nn::mobilenet_v1({classes, notes.scale, variant, init, seed});
}

LoadedModel load_net(const std::string& path, Device device) {
  const TensorFile file = read_safetensors(path, {.copy = false, .require_checksum = true});
  const std::string kind = kind_of(file);
  if (kind != "model")
    fail("model", fmt::format("'{}' is of kind '{}', not an fp32 or QAT model", path, kind),
         "give fp32 or qat.safetensors of a run");
  LoadedModel loaded;
  loaded.notes = ModelNotes::from(file.metadata, path);
  const nn::DeviceScope there(device);
  loaded.net = build_model(loaded.notes, nn::Init::he, 1);
  if (!loaded.notes.quant.empty())
    quant::prepare(*loaded.net, kPicture, quant::structure_of(quant::parse_config(loaded.notes.quant)));
  optim::load_model(path, *loaded.net);
  loaded.net->eval();
  return loaded;
}

std::string kind_of_file(const std::string& path) {
  return kind_of(read_safetensors(path, {.copy = false, .require_checksum = true}));
}

Predictor load_predictor(const std::string& path, Device device) {
  const std::string kind = kind_of_file(path);
  if (kind == "int8" || kind == "float") {
    auto engine = std::make_shared<engine::Engine>(engine::Engine::load(path, device));
    const auto classes = engine->graph().notes.find("classes");
    OCTET_CHECK(classes != engine->graph().notes.end(), "model", "'{}' does not name its classes", path);
    const auto tag = engine->graph().notes.find("tag");
    return {kind, [engine](const Tensor& images) { return engine->run(images); }, names_from(classes->second, path),
            tag == engine->graph().notes.end() ? "" : tag->second};
  }
  const LoadedModel loaded = load_net(path, device);
  auto trainer = std::make_shared<optim::Trainer>(loaded.net);
  return {loaded.notes.quant.empty() ? "fp32" : "QAT",
          [trainer](const Tensor& images) { return trainer->predict(images); }, loaded.notes.class_names,
          loaded.notes.tag};
}

std::uint64_t file_bytes(const std::string& path) {
  return static_cast<std::uint64_t>(std::filesystem::file_size(path));
}

}  // namespace octet::app
