#include "apps/mnv1_qat/option_groups.h"

#include <cmath>

#include "apps/mnv1_qat/model_file.h"

namespace octet::app {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();

template <class Names>
std::map<std::string, std::string> names_of(const Names& names) {
  std::map<std::string, std::string> all;
  for (const char* name : names) all.emplace(name, name);
  return all;
}

}  // namespace

CLI::Validator above_zero() { return in_range("above 0", std::numeric_limits<double>::denorm_min(), kLargest); }

void add_test_data(CLI::App* app, Options& o) {
  const char* group = "Data";
  add(app, "--data", o.data,
      "auto, synthetic, a folder of pictures (DIR/CLASS/*.png|jpg, or train/ and test/ of such), or of CIFAR-10's "
      "binary files")
      ->group(group);
  CLI::Option* download = app->add_flag("--download", o.download,
                                        "fetch CIFAR-10 (163 MB) into --download-dir first, checked and resumable")
                              ->group(group);
  add(app, "--download-url", o.download_url, "another source of cifar-10-binary.tar.gz, for example file:///…")
      ->needs(download)
      ->group(group);
  add(app, "--download-dir", o.download_dir, "where downloads go")->needs(download)->group(group);
  add(app, "--limit-test", o.limit_test, "test on the first N pictures only; 0: all")->check(kCount)->group(group);
}

void add_data(CLI::App* app, Options& o) {
  add_test_data(app, o);
  add(app, "--limit-train", o.limit_train, "the first N training pictures only; 0: all")->check(kCount)->group("Data");
}

void add_model(CLI::App* app, Options& o) {
  add_choice<std::string>(app, "--net", o.net, names_of(kNets), "the net")->group("Model");
  add(app, "--scale", o.scale, "width of the net, 0.25 to 1")->check(in_range("0.25 to 1", 0.25, 1.0))->group("Model");
  add_choice<nn::Variant>(app, "--variant", o.variant,
                          {{"imagenet", nn::Variant::imagenet}, {"cifar", nn::Variant::cifar}},
                          "strides of the paper, or of CIFAR nets (larger maps)")
      ->group("Model");
  add_choice<nn::Init>(app, "--init", o.init,
                       {{"he", nn::Init::he}, {"identity", nn::Init::identity}, {"paddle", nn::Init::paddle}},
                       "initial weights")
      ->group("Model");
}

void add_device(CLI::App* app, Options& o, const std::string& help) {
  add_choice<Device>(app, "--device", o.device, {{"cpu", Device::cpu}, {"cuda", Device::cuda}}, help)->group("General");
}

void add_training(CLI::App* app, Options& o) {
  const char* group = "Training";
  add(app, "--batch-size", o.batch_size, "pictures a step")->check(whole<std::int64_t>(1, kLargestBatch))->group(group);
  add(app, "--lr", o.lr, "learning rate")->check(above_zero())->group(group);
  add(app, "--momentum", o.momentum, "momentum")
      ->check(in_range("0 or more and below 1", 0.0, std::nextafter(1.0, 0.0)))
      ->group(group);
  app->add_flag("--nesterov", o.nesterov, "momentum as Nesterov has it")->group(group);
  add(app, "--weight-decay", o.weight_decay, "L2 added to the gradient")
      ->check(in_range("0 or more", 0.0, kLargest))
      ->group(group);
  add(app, "--sharpness-aware", o.sharpness,
      "radius: gradients where the loss is worst nearby, at 5/4 of a step's time (on the processor); 0: off")
      ->check(in_range("0 or more", 0.0, kLargest))
      ->group(group);
  add(app, "--label-smoothing", o.label_smoothing, "share of a label that all classes have alike")
      ->check(in_range("0 or more and below 1", 0.0, std::nextafter(1.0, 0.0)))
      ->group(group);
  add_choice<optim::ScheduleKind>(app, "--schedule", o.schedule,
                                  {{"constant", optim::ScheduleKind::constant},
                                   {"cosine", optim::ScheduleKind::cosine},
                                   {"step", optim::ScheduleKind::step}},
                                  "learning rate over the steps")
      ->group(group);
  add(app, "--warmup-steps", o.warmup_steps, "steps over which the rate rises to that of the schedule")
      ->check(kCount)
      ->group(group);
  add_choice<data::Augment>(app, "--augment", o.augment,
                            {{"none", data::Augment::none}, {"crop-flip", data::Augment::crop_flip}}, "augmentation")
      ->group(group);
  add(app, "--cutout", o.cutout, "side in pixels of a square that hides a part of each training picture; 0: none")
      ->check(whole(0, static_cast<int>(data::kSide)))
      ->group(group);
  add_device(app, o, "where nets train and are evaluated; cuda needs a build with CUDA and a device");
  add_choice<ops::Precision>(
      app, "--precision", o.precision, {{"f32", ops::Precision::f32}, {"bf16", ops::Precision::bf16}},
      "operands of convolutions (of 1x1 ones on the processor) while training; bf16 needs AVX512_BF16 or a device")
      ->group(group);
  add(app, "--checkpoint-every", o.checkpoint_every, "steps between checkpoints; 0: after each epoch only")
      ->check(kCount)
      ->group(group);
}

void add_pretraining(CLI::App* app, Options& o) {
  add(app, "--epochs", o.epochs, "epochs of pre-training")->check(whole<std::int64_t>(0, kEpochs))->group("Training");
  add(app, "--coarse-epochs", o.coarse_epochs,
      "of them, the first so many on small maps, which take a third of the time (--variant cifar)")
      ->check(whole<std::int64_t>(0, kEpochs))
      ->group("Training");
}

void add_general(CLI::App* app, Options& o) {
  const char* group = "General";
  add(app, "--seed", o.seed, "of initial weights, order and augmentation")
      ->check(in_range<std::uint64_t>("0 or more", 0, std::numeric_limits<std::uint64_t>::max()))
      ->group(group);
  app->add_flag("--deterministic", o.deterministic, "leave vendor kernels out")->group(group);
  app->add_flag("--quiet", o.quiet, "no progress, results only")->group(group);
  app->add_flag("--json", o.json, "results as JSON on stdout, nothing else there")->group(group);
  app->add_option("--config", "TOML file with options of this subcommand, without their dashes")
      ->type_name("FILE.toml")
      ->group(group);
}

void add_threads(CLI::App* app, Options& o) {
  add(app, "--threads", o.threads, "threads; 0: one per processor")->check(whole(0, kMostThreads))->group("General");
}

void add_profile(CLI::App* app, Options& o) {
  app->add_option("--profile", o.profile,
                  "write a trace (Perfetto, chrome://tracing) and tables of where the time went")
      ->type_name("TRACE.json")
      ->take_last()
      ->group("General");
}

void add_out(CLI::App* app, std::string& value, const std::string& help) {
  add(app, "-o,--out", value, help)->group("General");
}

void add_model_file(CLI::App* app, Options& o, const std::string& help) {
  app->add_option("model", o.model, help)->required();
}

}  // namespace octet::app
