#include "apps/mnv1_qat/pipeline.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/comparison.h"
#include "apps/mnv1_qat/guesses.h"
#include "apps/mnv1_qat/trace_file.h"
#include "core/allocator.h"
#include "core/file.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "core/stopwatch.h"
#include "nn/graph.h"
#include "optim/checkpoint.h"
#include "optim/coarse_maps.h"
#include "optim/sharpness_aware.h"
#include "quant/analysis/compare.h"
#include "quant/deployment/simulator.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "quant/training/batch_norm_statistics.h"

namespace octet::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kFineTuneEpochs = 1000;  // loader epochs of fine-tuning start here, apart from pre-training's
constexpr std::uint64_t kReestimateEpoch = 1000000000;
constexpr std::int64_t kCompareBatch = 128, kTracedPictures = 32;

data::LoaderOptions training_batches(const Options& o) { return {o.batch_size, true, o.augment, o.seed, o.cutout}; }

// Keeps the time at each checkpoint, so that a run counts what its killed processes did, and that of the very first step.
class StageReporter : public Reporter {
 public:
  using Keep = std::function<void(const optim::FitResult&)>;
  /// `trace` may be null.
  StageReporter(Reporter&& reporter, Keep keep, double& first_step, TraceWriter* trace)
      : Reporter(std::move(reporter)), keep_(std::move(keep)), first_step_(first_step), trace_(trace) {}
  void on_fit_begin(const optim::Progress& progress) override {
    Reporter::on_fit_begin(progress);
    if (trace_ != nullptr) trace_->begin(progress);
  }
  void on_step(const optim::Progress& progress) override {
    if (first_step_ == 0) first_step_ = process_seconds();
    Reporter::on_step(progress);
    if (trace_ != nullptr) trace_->step(progress);
  }
  void on_checkpoint(const optim::Progress&, const optim::FitResult& so_far) override { keep_(so_far); }

 private:
  Keep keep_;
  double& first_step_;
  TraceWriter* trace_;
};

}  // namespace

Json training_json(const Options& o) {
  Json j = {{"batch_size", o.batch_size},
            {"lr", o.lr},
            {"momentum", o.momentum},
            {"weight_decay", o.weight_decay},
            {"schedule", optim::name_of(o.schedule)},
            {"crop_flip", o.augment == data::Augment::crop_flip},
            {"seed", o.seed}};
  if (o.cutout > 0) j["cutout"] = o.cutout;
  if (o.nesterov) j["nesterov"] = true;
  if (o.label_smoothing != 0) j["label_smoothing"] = o.label_smoothing;
  if (o.warmup_steps != 0) j["warmup_steps"] = o.warmup_steps;
  if (o.sharpness != 0) j["sharpness"] = o.sharpness;
  if (o.precision == ops::Precision::bf16) j["precision"] = "bf16";
  if (o.device != Device::cpu) j["device"] = name_of(o.device);
  return j;
}

std::string pretrain_tag(const Options& options, const data::Dataset& train) {
  Json j = training_json(options);
  j["stage"] = "pretrain", j["data"] = identity_of(train), j["pictures"] = train.size(), j["epochs"] = options.epochs;
  j["scale"] = options.scale, j["cifar_strides"] = options.variant == nn::Variant::cifar,
  j["paddle_init"] = options.init == nn::Init::paddle;
  if (options.init == nn::Init::identity) j["init"] = "identity";
  if (options.coarse_epochs > 0) j["coarse_epochs"] = options.coarse_epochs;
  if (options.net != ModelNotes{}.net) j["net"] = options.net;  // tags of earlier versions have none
  return j.dump();
}

Pipeline::Pipeline(const Options& options, const Shared& shared)
    : options_(options),
      start_(Clock::now()),
      console_(options),
      folder_(options.out),
      watcher_(shared.watcher),
      qat_(options.quant) {
  if (!options.resume) folder_.require_no_unfinished_run();
  if (!options.trace_dir.empty()) make_trace_folder(options.trace_dir);
  const profile::Stage profiled("load data");
  split_ = shared.split != nullptr ? *shared.split
                                   : load_split(options, {options.limit_train, options.limit_test}, console_);
  metrics_ = std::make_unique<Metrics>(options.out, keeps_earlier_stages());
  if (keeps_earlier_stages()) timing_ = folder_.timing();
  earlier_seconds_ = options.resume ? timing_.total_seconds : 0;
  notes_.net = options.net, notes_.scale = options.scale;
  notes_.variant = options.variant == nn::Variant::cifar ? "cifar" : "imagenet";
  notes_.class_names = split_.train.class_names;
  notes_.data = split_.train.source;
  const bool synthetic = notes_.data == "synthetic";
  console_.say(fmt::format("octet {}: {} training and {} test pictures of {}{}", OCTET_VERSION, split_.train.size(),
                           split_.test.size(), notes_.data,
                           synthetic ? " (generated: the figures below say nothing about CIFAR-10)" : ""));
  summary_.data = notes_.data, summary_.seed = options.seed, summary_.threads = num_threads(),
  summary_.scheme = quant::name_of(options.quant.scheme);
}

// Metrics and times of what came before: of a resumed run, and of a pre-training in the same folder.
bool Pipeline::keeps_earlier_stages() const {
  std::error_code ignored;
  return options_.resume ||
         (options_.command == Command::qat && fs::equivalent(options_.model, path("fp32.safetensors"), ignored));
}

double Pipeline::total_seconds() const { return earlier_seconds_ + seconds_since(start_); }

void Pipeline::keep_timing(StageTime& time, const StageTime& before, const optim::FitResult& so_far) {
  time.seconds = before.seconds + so_far.seconds;
  if (!so_far.step_ms.empty()) time.step_ms = so_far.median_step_ms();
  timing_.total_seconds = total_seconds();
  folder_.keep(timing_);
}

void Pipeline::fit(const Stage& stage, StageTime& time, const Additions& additions) {
  const profile::Stage profiled(stage.name);
  checkpoints_.push_back(stage.checkpoint);
  notes_.tag = stage.tag;
  if (options_.resume && folder_.is_finished(stage)) {
    optim::load_model(path(stage.model_file), *net_);
    console_.say(fmt::format("{}: finished before, taken from {}", stage.name, path(stage.model_file)));
    return;
  }
  optim::Trainer::Settings settings{{options_.lr, options_.momentum, options_.weight_decay, options_.nesterov},
                                    options_.schedule,
                                    options_.label_smoothing,
                                    options_.warmup_steps};
  additions.setup.add_to(settings);
  if (options_.sharpness > 0)
    settings.methods.push_back(std::make_shared<optim::SharpnessAware>(
        *net_, optim::SharpnessOptions{options_.sharpness, options_.label_smoothing}));
  trainer_->prepare(settings);
  optim::FitOptions fit;
  fit.epochs = stage.epochs;
  fit.loader = training_batches(options_);
  fit.first_epoch = stage.first_epoch;
  fit.checkpoint_every = options_.checkpoint_every;
  fit.checkpoint_path = path(stage.checkpoint);
  fit.tag = stage.tag;
  fit.resume = options_.resume;
  const StageTime before = options_.resume && folder_.has(stage.checkpoint) ? time : StageTime{};
  const auto keep = [&](const optim::FitResult& so_far) { keep_timing(time, before, so_far); };
  StageReporter reporter({console_, stage.name, options_.batch_size, split_.train.size(), metrics_.get(), watcher_},
                         keep, summary_.first_step_seconds, additions.trace);
  allocator_trim();  // evaluation and training ask for other sizes
  const optim::FitResult result = trainer_->fit(split_.train, fit, &reporter);
  trainer_->prepare({});  // what methods hold, a teacher for example, is of no more use
  keep(result);
  data_seconds_ += result.data_seconds, training_seconds_ += result.training_seconds;
  summary_.data_share = training_seconds_ > 0 ? data_seconds_ / training_seconds_ : 0;
  allocator_trim();
  if (additions.before_saving) additions.before_saving();
  folder_.remove_results_after(stage);
  std::error_code ignored;
  const bool traces_here = additions.trace != nullptr && fs::equivalent(options_.trace_dir, options_.out, ignored);
  if (!traces_here) folder_.remove(kTraceFile);  // of another fine-tuning: a report would tell it as this one's
  optim::save_model(path(stage.model_file), *net_, notes_.to_metadata());
}

// They stay until all is done: a run interrupted between two stages is an unfinished one too.
void Pipeline::remove_checkpoints() const {
  for (const std::string& file : checkpoints_) folder_.remove(file);
}

void Pipeline::pretrain() {
  const nn::DeviceScope there(options_.device);
  net_ = build_model(notes_, options_.init, options_.seed);
  trainer_ = std::make_unique<optim::Trainer>(net_);
  if (console_.speaks()) console_.say("\n" + nn::summary(*net_, kPicture));
  Additions additions;
  if (options_.coarse_epochs > 0)
    additions.setup.methods.push_back(
        std::make_shared<optim::CoarseMaps>(nn::first_reduction(*net_), options_.coarse_epochs));
  fit({"pretrain", "fp32.safetensors", "pretrain.checkpoint.safetensors", options_.epochs, 0,
       pretrain_tag(options_, split_.train)},
      timing_.pretrain, additions);
  floats_ = path("fp32.safetensors");
  summary_.fp32_bytes = file_bytes(floats_);
  summary_.parameters = net_->parameter_count();
}

void Pipeline::take_pretrained(const LoadedModel& loaded, const std::string& file) {
  require_same_classes("qat", file, loaded.notes.class_names, split_.train);
  net_ = loaded.net, notes_ = loaded.notes;
  trainer_ = std::make_unique<optim::Trainer>(net_);
  floats_ = file;
  summary_.fp32_bytes = file_bytes(file);
  summary_.parameters = net_->parameter_count();
}

optim::Scores Pipeline::evaluate(const std::string& stage, const optim::PredictFn& predict, double* images_per_second) {
  const profile::Stage profiled(stage);
  Reporter reporter(console_, stage, options_.batch_size, split_.test.size(), nullptr, watcher_);
  const auto start = Clock::now();
  const optim::Scores scores = optim::evaluate(predict, split_.test, options_.batch_size, &reporter);
  if (images_per_second) *images_per_second = static_cast<double>(scores.pictures) / seconds_since(start);
  metrics_->write_scores(stage, scores);
  return scores;
}

void Pipeline::evaluate_fp32() {
  summary_.fp32 = evaluate(
      "fp32 test", [this](const Tensor& x) { return trainer_->predict(x); }, &summary_.fp32_images_per_second);
}

void Pipeline::fine_tune() {
  {
    const profile::Stage profiled("quantize");
    qat_.quantize(*net_, kPicture);
  }
  notes_.quant = quant::to_json(options_.quant);
  Json tag = training_json(options_);
  tag["stage"] = "qat", tag["qat_epochs"] = options_.qat_epochs, tag["pictures"] = split_.train.size();
  if (const std::string data = identity_of(split_.train); data != split_.train.source) tag["data"] = data;
  tag["quant"] = Json::parse(notes_.quant), tag["from"] = parse_tag(notes_.tag);
  // Fine-tuning changes the net itself: the teacher is the file's.
  const std::shared_ptr<nn::Module> teacher =
      options_.quant.distill > 0 ? load_net(floats_, options_.device).net : nullptr;
  const quant::TrainingSetup setup = quant::training_setup(*net_, options_.quant, teacher);
  std::unique_ptr<TraceWriter> trace;
  if (!options_.trace_dir.empty()) {
    const Tensor pictures =
        data::normalise(split_.train.pictures.slice(0, std::min(kTracedPictures, split_.train.size())));
    trace =
        std::make_unique<TraceWriter>(options_.trace_dir, *net_, pictures, options_.trace_every, setup.freezing.get());
  }
  Additions additions{trace.get(), setup, {}};
  additions.before_saving = [&] {
    if (setup.freezing != nullptr)
      console_.say(fmt::format("oscillations: {:.2f} % of the weights are frozen", 100 * setup.freezing->frozen()));
    if (options_.quant.batch_norm_reestimate_batches > 0) reestimate_statistics();
  };
  fit({"qat", "qat.safetensors", "qat.checkpoint.safetensors", options_.qat_epochs, kFineTuneEpochs, tag.dump()},
      timing_.qat, additions);
}

void Pipeline::reestimate_statistics() {
  const profile::Stage profiled("batch norm statistics");
  quant::ReestimateOptions options;
  options.batches = options_.quant.batch_norm_reestimate_batches;
  options.loader = training_batches(options_);
  options.epoch = kReestimateEpoch;
  std::unique_ptr<optim::ProgressBar> bar;
  quant::reestimate_statistics(*net_, split_.train, options, [&](std::int64_t done, std::int64_t total) {
    if (!bar)
      bar = std::make_unique<optim::ProgressBar>("batch norm statistics", total, "batches", console_.bar_style());
    done < total ? bar->update(done, "") : bar->finish("");
  });
}

void Pipeline::evaluate_qat() {
  summary_.qat = evaluate(
      "qat test", [this](const Tensor& x) { return trainer_->predict(x); }, nullptr);
}

// Conversion, simulator and engine read weights on the processor.
void Pipeline::come_back() {
  if (net_->device() == Device::cpu) return;
  net_ = load_net(path("qat.safetensors")).net;
  trainer_ = std::make_unique<optim::Trainer>(net_);
}

void Pipeline::export_and_run() {
  come_back();
  quant::ConvertReport report;
  engine::Graph graph = qat_.convert(*net_, &report);
  add_notes(graph, notes_);
  engine::save_graph(path("int8.safetensors"), graph);
  if (!report.channels.empty())
    console_.say(
        fmt::format("convert: {} channels need a remark, see {}", report.channels.size(), path("convert.txt")));
  write_file_atomically(path("convert.txt"), report.str());
  const auto engine = engine::Engine::load(path("int8.safetensors"), options_.device);
  summary_.int8_bytes = file_bytes(path("int8.safetensors"));
  summary_.int8 = evaluate(
      "int8 test", [&](const Tensor& x) { return engine.run(x); }, &summary_.int8_images_per_second);
}

void Pipeline::compare() {
  const profile::Stage profiled("compare");
  const quant::Simulator simulator(*net_, kPicture, options_.quant);
  const auto engine = engine::Engine::load(path("int8.safetensors"), options_.device);
  quant::CodeMismatches mismatches;
  LogitAgreement logits;
  const std::int64_t count = split_.test.size();
  optim::ProgressBar bar("compare: nn, simulator, engine", count, "pictures", console_.bar_style());
  for (std::int64_t begin = 0; begin < count; begin += kCompareBatch) {
    const std::int64_t end = std::min(count, begin + kCompareBatch);
    const Tensor images = data::normalise(split_.test.pictures.slice(begin, end));
    NamedTensors simulated, run;
    const Tensor from_nn = trainer_->predict(images), from_simulator = simulator.run(images, &simulated);
    engine.run(images, &run);
    mismatches.add(quant::code_mismatches(simulated, run));
    logits.add(from_nn, from_simulator);
    bar.update(end, "");
  }
  summary_.code_mismatches = mismatches.total();
  summary_.class_agreement = logits.classes_equal();
  summary_.logit_max_abs_diff = logits.largest_difference;
  bar.finish(fmt::format("{} codes differ", summary_.code_mismatches));
  if (summary_.code_mismatches > 0) console_.say(mismatches.str());
}

void Pipeline::show_predictions() const {
  const auto engine = engine::Engine::load(path("int8.safetensors"), options_.device);
  const std::int64_t count = std::min<std::int64_t>(5, split_.test.size());
  const Tensor logits = engine.run(data::normalise(split_.test.pictures.slice(0, count)));
  const auto guesses = likeliest(logits, notes_.class_names, 1);
  console_.say("\nA few test pictures in the integer engine:");
  for (std::int64_t i = 0; i < count; ++i) {
    const Guess& best = guesses[static_cast<std::size_t>(i)][0];
    const auto is = static_cast<std::size_t>(split_.test.labels.data<std::int32_t>()[i]);
    console_.say(fmt::format("  picture {}: {} ({:.1f} %), in truth {}", i, best.name, 100 * best.probability,
                             notes_.class_names[is]));
  }
}

void Pipeline::close() {
  summary_.pretrain_seconds = timing_.pretrain.seconds, summary_.fp32_step_ms = timing_.pretrain.step_ms;
  summary_.qat_seconds = timing_.qat.seconds, summary_.qat_step_ms = timing_.qat.step_ms;
  summary_.total_seconds = total_seconds();
  summary_.peak_rss_bytes = peak_rss_bytes();
  write_file_atomically(path("summary.json"), summary_.json());
  remove_checkpoints();
}

void Pipeline::finish() {
  close();
  if (options_.json) return print_out(summary_.json());
  std::string files;
  for (const char* file : {"fp32.safetensors", "qat.safetensors", "int8.safetensors", "summary.json", "metrics.jsonl"})
    if (folder_.has(file)) files += (files.empty() ? "" : ", ") + std::string(file);
  print_out(fmt::format("{}  files in {}: {}\n", summary_.table(), options_.out, files));
}

void Pipeline::finish_pretrain() const {
  remove_checkpoints();
  const std::string file = path("fp32.safetensors");
  const Json j{{"model", file},
               {"data", summary_.data},
               {"fp32_top1", summary_.fp32.top1()},
               {"fp32_top5", summary_.fp32.top5()},
               {"fp32_step_ms", timing_.pretrain.step_ms},
               {"first_step_seconds", summary_.first_step_seconds},
               {"data_share", summary_.data_share},
               {"peak_rss_mb", static_cast<double>(peak_rss_bytes()) * 1e-6}};
  if (options_.json) return print_out(json_text(j));
  print_out(fmt::format("{}: top-1 {:.2f} %, top-5 {:.2f} % on the test pictures of {}\n", file,
                        100 * summary_.fp32.top1(), 100 * summary_.fp32.top5(), summary_.data));
}

}  // namespace octet::app
