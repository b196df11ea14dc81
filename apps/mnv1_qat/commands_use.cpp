// evaluate, dump-codes: what one does with a run's files.
#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/load_data.h"
#include "apps/mnv1_qat/model_file.h"
#include "apps/mnv1_qat/pictures.h"
#include "core/npy.h"
#include "quant/engine/engine.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

void evaluate(const Options& options) {
  const Predictor predictor = load_predictor(options.model, options.device);
  const Console console(options);
  const data::Dataset test = load_test(options, console);
  require_same_classes("evaluate", options.model, predictor.class_names, test);
  Reporter reporter(console, predictor.kind, options.batch_size, test.size(), nullptr);
  const optim::Scores scores = optim::evaluate(predictor.predict, test, options.batch_size, &reporter);
  const Json j{{"model", options.model},      {"kind", predictor.kind}, {"data", test.source},
               {"pictures", scores.pictures}, {"top1", scores.top1()},  {"top5", scores.top5()},
               {"loss", scores.loss()}};
  print_out(options.json
                ? json_text(j)
                : fmt::format("{} on {} pictures of {}: top-1 {:.2f} %, top-5 {:.2f} %, loss {:.4f}\n", predictor.kind,
                              scores.pictures, test.source, 100 * scores.top1(), 100 * scores.top5(), scores.loss()));
}

void dump_codes(const Options& options) {
  const auto engine = engine::Engine::load(options.model, options.device);
  const Tensor pictures =
      options.pictures.empty() ? test_pictures(options, "dump-codes") : read_pictures(options.pictures);
  NamedTensors values;
  engine.run(data::normalise(pictures), &values);
  values.emplace_back("pictures", pictures);
  std::error_code error;
  std::filesystem::create_directories(options.codes_dir, error);
  OCTET_CHECK(!error, "dump-codes", "cannot make the folder '{}': {}", options.codes_dir, error.message());
  std::map<std::string, Tensor> files;
  for (const auto& [name, tensor] : values) {
    std::string file = name + ".npy";
    std::replace(file.begin(), file.end(), '/', '_');
    OCTET_CHECK(files.emplace(file, tensor).second, "dump-codes", "two values of '{}' would be written to '{}'",
                options.model, file);
  }
  Json names = Json::array();
  for (const auto& [file, tensor] : files) {
    write_npy((std::filesystem::path(options.codes_dir) / file).string(), tensor);
    names.push_back(file);
  }
  const Json j{{"folder", options.codes_dir}, {"pictures", pictures.shape()[0]}, {"files", names}};
  print_out(options.json ? json_text(j)
                         : fmt::format("{}: {} arrays for {} pictures\n", options.codes_dir, values.size(),
                                       pictures.shape()[0]));
}

}  // namespace octet::app
