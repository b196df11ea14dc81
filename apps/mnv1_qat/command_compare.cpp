// compare: methods of quantization, bits and seeds against each other, all from the same fp32 weights of a seed.
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/mnv1_qat/calibration.h"
#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/grid_bar.h"
#include "apps/mnv1_qat/grid_results.h"
#include "apps/mnv1_qat/methods.h"
#include "core/diverged.h"
#include "core/file.h"
#include "core/json_text.h"
#include "quant/analysis/packed_size.h"
#include "quant/calibration/ptq.h"
#include "quant/qat.h"

namespace octet::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kWhere = "compare";

/// One net to make.
struct Cell {
  const Method* method;
  int bits;
  std::uint64_t seed;
  Options options;  ///< of its fine-tuning or calibration
  std::string name() const { return fmt::format("{}, {} bits, seed {}", method->name, bits, seed); }
};

Options options_of(const Options& all, const Method& method, int bits, std::uint64_t seed) {
  Options o = all;
  o.command = method.trains ? Command::qat : Command::ptq;
  o.seed = seed, o.lr = all.qat_lr;
  o.quant.weight_bits = o.quant.activation_bits = bits;
  method.set(o);
  o.quiet = true, o.json = false, o.resume = true;
  return o;
}

Json without_seed(Json j) {
  j.erase("seed");
  return j;
}

/// What made the row of a cell, its bits, seed and method aside.
std::string tag_of(const Cell& cell) {
  Json j{{"quant", Json::parse(quant::to_json(cell.options.quant))}};
  if (cell.method->trains)
    j["training"] = without_seed(training_json(cell.options));
  else
    j["calibrate"] = cell.options.calibrate;
  return j.dump();
}

class Comparison {
 public:
  explicit Comparison(const Options& options)
      : options_(options),
        methods_(find_methods(options.methods)),
        cells_(cells_of(options, methods_)),
        folder_(options.compare_dir),
        console_(options) {
    for (const std::string& file : options.models) floats_.push_back(checked(file));
    split_ = load_split(options, {options.limit_train, options.limit_test}, console_);
    for (std::size_t i = 0; i < floats_.size(); ++i)
      require_same_classes(kWhere, options.models[i], floats_[i].class_names, split_.train);
    keep_settings();
    rows_ = std::make_unique<GridRows>(folder_.path("rows.jsonl"));
  }

  void run() {
    std::int64_t all = 0, done = 0;
    for_work([&](std::int64_t passes, bool is_done) { all += passes, done += is_done ? passes : 0; });
    bar_ = std::make_unique<GridBar>(console_, all, done, options_.batch_size);
    for (const std::uint64_t seed : seeds()) {
      const GridRow* floats = floats_row(seed);
      bool due = floats == nullptr;
      for (const Cell& cell : cells_) due = due || (cell.seed == seed && !is_done(cell));
      if (!due || (floats != nullptr && !floats->error.empty())) continue;
      const auto file = make_floats(seed, floats == nullptr);
      for (const Cell& cell : cells_)
        if (cell.seed == seed && file) make(cell, *file);
    }
    bar_->finish();
  }

  void tell() const {
    Grid grid{{}, options_.bits, seeds(), split_.test.source, split_.test.size()};
    for (const Method* method : methods_) grid.methods.push_back(method->name);
    const std::vector<GridResult> results = results_of(grid, *rows_);
    const std::string table = table_of(grid, results);
    write_file_atomically(folder_.path("compare.md"), table);
    write_file_atomically(folder_.path("compare.csv"), csv_of(results));
    write_file_atomically(folder_.path("compare.svg"), drawing_of(grid, results).file_text());
    if (options_.json) return print_out(json_text(json_of(grid, results)));
    print_out("\n" + table + failures_of(results) + missing_models() +
              fmt::format("\nFiles in {}: compare.md, compare.csv, compare.svg, rows.jsonl\n", options_.compare_dir));
  }

 private:
  static std::vector<Cell> cells_of(const Options& options, const std::vector<const Method*>& methods) {
    std::vector<Cell> cells;
    for (std::int64_t s = 0; s < options.seeds; ++s)
      for (const int bits : options.bits)
        for (const Method* method : methods) {
          const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(s);
          cells.push_back({method, bits, seed, options_of(options, *method, bits, seed)});
          try {
            cells.back().options.quant.check();
            method->trains ? quant::require_trainable(cells.back().options.quant)
                           : quant::require_calibratable(cells.back().options.quant);
          } catch (const Error& error) {
            throw Error(fmt::format("{} (method {})", error.what(), method->name));
          }
        }
    return cells;
  }

  std::vector<std::uint64_t> seeds() const {
    std::vector<std::uint64_t> all;
    for (std::int64_t s = 0; s < options_.seeds; ++s) all.push_back(options_.seed + static_cast<std::uint64_t>(s));
    return all;
  }

  ModelNotes checked(const std::string& file) const {
    const LoadedModel model = load_net(file);
    if (!model.notes.quant.empty())
      fail(kWhere, fmt::format("'{}' is quantized already", file), "give the fp32.safetensors of a pre-training");
    return model.notes;
  }

  /// The file that all nets of a seed begin with; of several, one a seed.
  const std::string& given_floats(std::uint64_t seed) const {
    return options_.models.size() == 1 ? options_.models[0]
                                       : options_.models[static_cast<std::size_t>(seed - options_.seed)];
  }

  /// What decides every row.
  Json settings() const {
    Json j{{"data", identity_of(split_.train)},
           {"pictures", split_.train.size()},
           {"test_data", identity_of(split_.test)},
           {"test_pictures", split_.test.size()}};
    j["fp32"] =
        options_.models.empty() ? without_seed(Json::parse(pretrain_tag(options_, split_.train))) : Json("given");
    Options tuned = options_;
    tuned.lr = options_.qat_lr;
    j["fine_tuning"] = without_seed(training_json(tuned));
    j["fine_tuning"]["epochs"] = options_.qat_epochs;
    j["calibrate"] = options_.calibrate;
    return j;
  }

  /// What made the float net of a seed, where the settings do not say it.
  std::string floats_tag(std::uint64_t seed) const {
    if (options_.models.empty()) return "{}";
    const std::string bytes = read_file(given_floats(seed));
    return Json{{"fp32", fmt::format("crc32c {:08x}", crc32c(bytes.data(), bytes.size()))}}.dump();
  }

  /// Null when there is none.
  const GridRow* floats_row(std::uint64_t seed) const {
    return rows_->find(kFloats, kFloatBits, seed, floats_tag(seed));
  }

  /// Rows of other settings would be compared with these.
  void keep_settings() const {
    const std::string now = settings().dump();
    if (folder_.has("grid.json")) {
      const std::string text = read_file(folder_.path("grid.json"), 1 << 16);
      const Json j = is_modest_json(text, text.size()) ? Json::parse(text, nullptr, false) : Json();
      if (!j.is_object())
        fail(kWhere, fmt::format("'{}' is not what compare has written", folder_.path("grid.json")),
             "use another --out");
      const std::string before = j.dump();
      if (before != now)
        fail(kWhere, fmt::format("'{}' holds another grid: {}", options_.compare_dir, differences(before, now)),
             "go on with its options, or use another --out");
    } else if (folder_.has("rows.jsonl")) {
      fail(kWhere, fmt::format("'{}' holds rows, but no grid.json that says what made them", options_.compare_dir),
           "use another --out");
    } else {
      write_file_atomically(folder_.path("grid.json"), settings().dump(2) + "\n");
    }
  }

  bool is_done(const Cell& cell) const {
    return rows_->find(cell.method->name, cell.bits, cell.seed, tag_of(cell)) != nullptr;
  }

  std::int64_t passes_of(const Cell& cell) const {
    const std::int64_t before = cell.method->trains ? GridBar::passes_of_fit(options_.qat_epochs, split_.train.size())
                                                    : std::min(options_.calibrate, split_.train.size());
    return before + 2 * split_.test.size();
  }
  std::int64_t passes_of_floats() const {
    return (options_.models.empty() ? GridBar::passes_of_fit(options_.epochs, split_.train.size()) : 0) +
           split_.test.size();
  }
  /// f(passes, is it done?) for each piece of work.
  void for_work(const std::function<void(std::int64_t, bool)>& f) const {
    for (const std::uint64_t seed : seeds()) f(passes_of_floats(), rows_->find(kFloats, kFloatBits, seed) != nullptr);
    for (const Cell& cell : cells_) f(passes_of(cell), is_done(cell));
  }

  std::string folder_of(std::uint64_t seed) const { return folder_.path(fmt::format("seed{}", seed)); }
  std::string folder_of(const Cell& cell) const {
    return (fs::path(folder_of(cell.seed)) / fmt::format("{}-{}", cell.method->name, cell.bits)).string();
  }

  optim::Scores score(const optim::PredictFn& predict) const {
    return optim::evaluate(predict, split_.test, options_.batch_size, bar_.get());
  }

  static GridRow row_of(const optim::Scores& scores) {
    GridRow row;
    row.pictures = scores.pictures, row.top1 = scores.top1(), row.top5 = scores.top5(), row.loss = scores.loss();
    return row;
  }

  /// The weights of a seed, pre-trained where no file gives them, and their row where it is due; none when that training diverges.
  std::optional<std::string> make_floats(std::uint64_t seed, bool due) {
    if (due) bar_->begin(fmt::format("fp32, seed {}", seed), passes_of_floats());
    std::string file;
    if (!options_.models.empty()) {
      file = given_floats(seed);
    } else {
      Options o = options_;
      o.command = Command::pretrain, o.seed = seed, o.out = folder_of(seed);
      o.quiet = true, o.json = false, o.resume = true;
      try {
        Pipeline pipeline(o, {&split_, bar_.get()});
        pipeline.pretrain();
        pipeline.remove_checkpoints();
      } catch (const Diverged& error) {
        GridRow failed;
        failed.error = error.what();
        add_floats(failed, seed);
        return std::nullopt;
      }
      file = (fs::path(o.out) / "fp32.safetensors").string();
    }
    if (!due) return file;
    GridRow row = row_of(score(load_predictor(file, options_.device).predict));
    row.fake_quant_top1 = row.top1;
    row.packed_bytes = quant::packed_bytes(*load_net(file).net), row.file_bytes = file_bytes(file);
    add_floats(row, seed);
    return file;
  }

  void add_floats(GridRow row, std::uint64_t seed) {
    row.method = kFloats, row.bits = kFloatBits, row.seed = seed, row.tag = floats_tag(seed);
    rows_->add(row);
    bar_->end();
  }

  void make(const Cell& cell, const std::string& floats) {
    if (!is_done(cell)) {
      bar_->begin(cell.name(), passes_of(cell));
      Options o = cell.options;
      o.model = floats, o.out = o.ptq_dir = folder_of(cell);
      GridRow row;
      try {
        row = cell.method->trains ? fine_tuned(o) : calibrated(o);
      } catch (const Diverged& error) {
        row.error = error.what();
      } catch (const Error& error) {
        throw Error(fmt::format("{} ({})", error.what(), cell.name()));
      }
      row.method = cell.method->name, row.bits = cell.bits, row.seed = cell.seed, row.tag = tag_of(cell);
      row.kept = options_.keep_models;
      rows_->add(row);
      bar_->end();
    }
    // What a kill between row and removal left goes now.
    if (!rows_->find(cell.method->name, cell.bits, cell.seed)->kept) remove(folder_of(cell));
  }

  GridRow fine_tuned(const Options& o) const {
    Pipeline pipeline(o, {&split_, bar_.get()});
    pipeline.take_pretrained(load_net(o.model, o.device), o.model);
    pipeline.fine_tune();
    pipeline.evaluate_qat();
    pipeline.export_and_run();
    pipeline.close();
    GridRow row = row_of(pipeline.summary().int8);
    row.fake_quant_top1 = pipeline.summary().qat.top1();
    add_sizes(row, o.out, "qat.safetensors");
    return row;
  }

  GridRow calibrated(const Options& o) const {
    const RunFolder folder(o.out);
    LoadedModel model = load_net(o.model);
    calibrate_and_convert(model, o, split_.train, Console(o), folder);
    const double fake_quant = score(load_predictor(folder.path("ptq.safetensors"), o.device).predict).top1();
    GridRow row = row_of(score(load_predictor(folder.path("int8.safetensors"), o.device).predict));
    row.fake_quant_top1 = fake_quant;
    add_sizes(row, o.out, "ptq.safetensors");
    return row;
  }

  static void add_sizes(GridRow& row, const std::string& folder, const char* trained) {
    row.packed_bytes = quant::packed_bytes(*load_net((fs::path(folder) / trained).string()).net);
    row.file_bytes = file_bytes((fs::path(folder) / "int8.safetensors").string());
  }

  static void remove(const std::string& folder) {
    std::error_code error;
    fs::remove_all(folder, error);
    OCTET_CHECK(!error, kWhere, "cannot remove '{}': {}", folder, error.message());
  }

  /// Rows of an earlier call that kept no models, where this one asks for them.
  std::string missing_models() const {
    std::int64_t missing = 0;
    for (const Cell& cell : cells_) {
      const GridRow* row = rows_->find(cell.method->name, cell.bits, cell.seed);
      missing += options_.keep_models && row != nullptr && !row->kept;
    }
    return missing == 0
               ? ""
               : fmt::format("\n{} nets were made and scored by a call without --keep-models: their files are gone.\n",
                             missing);
  }

  const Options& options_;
  std::vector<const Method*> methods_;
  std::vector<Cell> cells_;  ///< seed by seed, bits by bits
  RunFolder folder_;
  Console console_;
  std::vector<ModelNotes> floats_;  ///< of the files that are given
  data::Split split_;
  std::unique_ptr<GridRows> rows_;
  std::unique_ptr<GridBar> bar_;
};

void list_methods(const Options& options) {
  Json all = Json::array();
  std::string text;
  for (const Method& method : methods()) {
    all.push_back({{"method", method.name}, {"trains", method.trains}, {"paper", method.paper}, {"what", method.line}});
    text += fmt::format("{:24} {:24} {}\n", method.name, method.paper, method.line);
  }
  print_out(options.json ? json_text(all) : text);
}

}  // namespace

void compare(const Options& options) {
  if (options.list) return list_methods(options);
  Comparison comparison(options);
  comparison.run();
  comparison.tell();
}

}  // namespace octet::app
