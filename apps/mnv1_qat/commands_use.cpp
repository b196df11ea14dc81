// evaluate, predict, dump-codes: what one does with a run's files.
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

// Training pictures are of no use here: one, so that the synthetic ones need not be drawn.
data::Dataset load_test(const Options& options, const Console& console) { return load_split(options, {1, options.limit_test}, console).test; }

Tensor test_pictures(const Options& options) {
  const data::Dataset test = load_test(options, Console(options));
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
  const data::Dataset test = load_test(options, console);
  OCTET_CHECK(test.class_names == predictor.class_names, "evaluate", "'{}' was trained on other classes than '{}' has", options.model, test.source);
  Reporter reporter(console, predictor.kind, options.batch_size, test.size(), nullptr);
  const optim::Scores scores = optim::evaluate(predictor.predict, test, options.batch_size, &reporter);
  const Json j{{"model", options.model}, {"kind", predictor.kind}, {"data", test.source}, {"pictures", scores.pictures},
               {"top1", scores.top1()},  {"top5", scores.top5()},  {"loss", scores.loss()}};
  print_out(options.json ? json_text(j)
                         : fmt::format("{} on {} pictures of {}: top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}\n", predictor.kind, scores.pictures,
                                       test.source, 100 * scores.top1(), 100 * scores.top5(), scores.loss()));
}

void predict(const Options& options) {
  const Predictor predictor = load_predictor(options.model);
  const Tensor probabilities = ops::softmax(predictor.predict(data::normalise(read_pictures(options.pictures))));
  Json all = Json::array();
  std::string text;
  for (std::size_t i = 0; i < options.pictures.size(); ++i) {
    Json item{{"picture", options.pictures[i]}, {"top5", Json::array()}};
    text += options.pictures[i] + ":";
    for (const Guess& guess : best_five(probabilities, static_cast<std::int64_t>(i), predictor.class_names)) {
      item["top5"].push_back({{"class", guess.name}, {"probability", guess.probability}});
      text += fmt::format("  {} {:.1f} %", guess.name, 100 * guess.probability);
    }
    text += "\n";
    all.push_back(item);
  }
  print_out(options.json ? json_text(all) : text);
}

void dump_codes(const Options& options) {
  const auto engine = engine::Engine::load(options.model);
  const Tensor pictures = options.pictures.empty() ? test_pictures(options) : read_pictures(options.pictures);
  NamedTensors values;
  engine.run(data::normalise(pictures), &values);
  values.emplace_back("pictures", pictures);
  std::error_code error;
  std::filesystem::create_directories(options.codes_dir, error);
  OCTET_CHECK(!error, "dump-codes", "cannot make the folder '{}': {}", options.codes_dir, error.message());
  Json files = Json::array();
  for (const auto& [name, tensor] : values) {
    std::string file = name + ".npy";
    std::replace(file.begin(), file.end(), '/', '_');
    write_npy((std::filesystem::path(options.codes_dir) / file).string(), tensor);
    files.push_back(file);
  }
  const Json j{{"folder", options.codes_dir}, {"pictures", pictures.shape()[0]}, {"files", files}};
  print_out(options.json ? json_text(j) : fmt::format("{}: {} arrays for {} pictures\n", options.codes_dir, values.size(), pictures.shape()[0]));
}

}  // namespace octet::app
