// evaluate, export, predict, dump-codes: what one does with a run's files.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/pipeline.h"
#include "core/npy.h"
#include "data/image_file.h"
#include "ops/ops.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

// Picture files, resized to what the net reads: u8 N,32,32,3.
Tensor read_pictures(const std::vector<std::string>& files) {
  Tensor all({static_cast<std::int64_t>(files.size()), data::kSide, data::kSide, data::kChannels}, DType::u8);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Tensor picture = data::resize_picture(data::read_picture(files[i]), data::kSide, data::kSide);
    all.slice(static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1).copy_from(picture.reshape({1, data::kSide, data::kSide, data::kChannels}));
  }
  return all;
}

Tensor test_pictures(const Options& options) {
  const data::Dataset test = load_split(options, Console(options)).test;
  Tensor all({static_cast<std::int64_t>(options.indices.size()), data::kSide, data::kSide, data::kChannels}, DType::u8);
  for (std::size_t i = 0; i < options.indices.size(); ++i) {
    const std::int64_t index = options.indices[i], at = static_cast<std::int64_t>(i);
    OCTET_CHECK(index < test.size(), "dump-codes", "picture {} of a test set of {}", index, test.size());
    all.slice(at, at + 1).copy_from(test.pictures.slice(index, index + 1));
  }
  return all;
}

struct Guess {
  std::string name;
  double probability;
};

// The five likeliest classes of row i.
std::vector<Guess> best_five(const Tensor& probabilities, std::int64_t i, const std::vector<std::string>& names) {
  const float* row = probabilities.data<float>() + i * probabilities.shape()[1];
  std::vector<std::size_t> order(names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return row[a] > row[b]; });
  std::vector<Guess> best;
  for (std::size_t k = 0; k < std::min<std::size_t>(5, order.size()); ++k) best.push_back({names[order[k]], row[order[k]]});
  return best;
}

}  // namespace

void evaluate(const Options& options) {
  const Predictor predictor = load_predictor(options.model);
  const Console console(options);
  const data::Split split = load_split(options, console);
  OCTET_CHECK(split.test.class_names == predictor.class_names, "evaluate", "'{}' was trained on other classes than '{}' has", options.model, split.test.source);
  Reporter reporter(console, predictor.kind, options.batch_size, split.test.size(), nullptr);
  const optim::Scores scores = optim::evaluate(predictor.predict, split.test, options.batch_size, &reporter);
  const Json j{{"model", options.model}, {"kind", predictor.kind}, {"data", split.test.source}, {"pictures", scores.pictures},
               {"top1", scores.top1()},  {"top5", scores.top5()},  {"loss", scores.loss()}};
  fmt::print("{}\n", options.json ? j.dump(2)
                                  : fmt::format("{} on {} pictures of {}: top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}", predictor.kind, scores.pictures,
                                                split.test.source, 100 * scores.top1(), 100 * scores.top5(), scores.loss()));
}

void export_model(const Options& options) {
  const LoadedModel loaded = load_net(options.model);
  OCTET_CHECK(!loaded.notes.quant.empty(), "export", "'{}' is an fp32 model without quantizers ---> HINT mnv1_qat qat makes a qat.safetensors from it",
              options.model);
  quant::ConvertReport report;
  engine::IntegerGraph graph = quant::convert(*loaded.net, kPicture, quant::parse_config(loaded.notes.quant), &report);
  add_notes(graph, loaded.notes);
  engine::save_graph(options.out, graph);
  if (!options.quiet && !options.json) fmt::print("{}", report.str());
  fmt::print("{}: {} bytes, {} nodes, scheme {}\n", options.out, file_bytes(options.out), graph.nodes.size(), graph.scheme);
}

void predict(const Options& options) {
  const Predictor predictor = load_predictor(options.model);
  const Tensor probabilities = ops::softmax(predictor.predict(data::normalise(read_pictures(options.pictures))));
  Json all = Json::array();
  for (std::size_t i = 0; i < options.pictures.size(); ++i) {
    const auto guesses = best_five(probabilities, static_cast<std::int64_t>(i), predictor.class_names);
    Json item{{"picture", options.pictures[i]}, {"top5", Json::array()}};
    std::string line = options.pictures[i] + ":";
    for (const Guess& guess : guesses) {
      item["top5"].push_back({{"class", guess.name}, {"probability", guess.probability}});
      line += fmt::format("  {} {:.1f} %", guess.name, 100 * guess.probability);
    }
    all.push_back(item);
    if (!options.json) fmt::print("{}\n", line);
  }
  if (options.json) fmt::print("{}\n", all.dump(2));
}

void dump_codes(const Options& options) {
  const auto engine = engine::Engine::load(options.model);
  const Tensor pictures = options.pictures.empty() ? test_pictures(options) : read_pictures(options.pictures);
  NamedTensors values;
  engine.run(data::normalise(pictures), &values);
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  OCTET_CHECK(!error, "dump-codes", "cannot make the folder '{}': {}", options.out, error.message());
  write_npy((std::filesystem::path(options.out) / "pictures.npy").string(), pictures);
  for (const auto& [name, tensor] : values) {
    std::string file = name;
    std::replace(file.begin(), file.end(), '/', '_');
    write_npy((std::filesystem::path(options.out) / (file + ".npy")).string(), tensor);
  }
  if (!options.quiet) fmt::print("{}: {} arrays for {} pictures\n", options.out, values.size() + 1, pictures.shape()[0]);
}

}  // namespace octet::app
