#include "apps/mnv1_qat/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <map>

#include "core/error.h"

namespace octet::app {
namespace {

template <class T>
CLI::Option* add_choice(CLI::App* app, const std::string& flag, T& value, const std::map<std::string, T>& names, const std::string& help) {
  std::string list, now;
  for (const auto& [name, one] : names) {
    list += (list.empty() ? "" : "|") + name;
    if (one == value) now = name;
  }
  const auto assign = [&value, names](const std::string& text) { value = names.at(text); };
  std::vector<std::string> keys;
  for (const auto& entry : names) keys.push_back(entry.first);
  return app->add_option_function<std::string>(flag, assign, help)->check(CLI::IsMember(keys))->type_name(list)->default_str(now)->take_last();
}

template <class T>
CLI::Option* add(CLI::App* app, const std::string& flag, T& value, const std::string& help) {
  return app->add_option(flag, value, help)->capture_default_str()->take_last();
}

void add_data(CLI::App* app, Options& o) {
  add(app, "--data", o.data, "auto, synthetic, or the folder of CIFAR-10's binary files")->group("Data");
  app->add_flag("--download", o.download, "fetch CIFAR-10 (163 MB) into --download-dir first, checked and resumable")->group("Data");
  add(app, "--download-url", o.download_url, "another source of cifar-10-binary.tar.gz, for example file:///…")->group("Data");
  add(app, "--download-dir", o.download_dir, "where downloads go")->group("Data");
  add(app, "--limit-train", o.limit_train, "train on the first N pictures only; 0: all")->check(CLI::NonNegativeNumber)->group("Data");
  add(app, "--limit-test", o.limit_test, "test on the first N pictures only; 0: all")->check(CLI::NonNegativeNumber)->group("Data");
}

void add_model(CLI::App* app, Options& o) {
  add(app, "--scale", o.scale, "width of the net, 0.25 to 1")->check(CLI::Range(0.25, 1.0))->group("Model");
  add_choice<nn::Variant>(app, "--variant", o.variant, {{"imagenet", nn::Variant::imagenet}, {"cifar", nn::Variant::cifar}},
                          "strides of the paper, or of CIFAR nets (larger maps)")->group("Model");
  add_choice<nn::Init>(app, "--init", o.init, {{"he", nn::Init::he}, {"paddle", nn::Init::paddle}}, "initial weights")->group("Model");
}

void add_training(CLI::App* app, Options& o) {
  const char* group = "Training";
  add(app, "--batch-size", o.batch_size, "pictures a step")->check(CLI::Range(1, 100000))->group(group);
  add(app, "--lr", o.lr, "learning rate")->check(CLI::PositiveNumber)->group(group);
  add(app, "--momentum", o.momentum, "momentum")->check(CLI::Range(0.0, 0.9999))->group(group);
  add(app, "--weight-decay", o.weight_decay, "L2 added to the gradient")->check(CLI::NonNegativeNumber)->group(group);
  add_choice<optim::ScheduleKind>(app, "--schedule", o.schedule,
                                  {{"constant", optim::ScheduleKind::constant}, {"cosine", optim::ScheduleKind::cosine}, {"step", optim::ScheduleKind::step}},
                                  "learning rate over the steps")->group(group);
  add_choice<data::Augment>(app, "--augment", o.augment, {{"none", data::Augment::none}, {"crop-flip", data::Augment::crop_flip}},
                            "augmentation")->group(group);
  add(app, "--checkpoint-every", o.checkpoint_every, "steps between checkpoints; 0: after each epoch only")->check(CLI::NonNegativeNumber)->group(group);
  app->add_flag("--resume", o.resume, "go on where the run in --out stopped")->group(group);
}

// The tutorial's keys, one option each; a value given here replaces the file's.
void add_quantization(CLI::App* app, Options& o, std::vector<std::function<void()>>& late) {
  const char* group = "Quantization";
  auto file = std::make_shared<std::string>();
  add(app, "--quant-config", *file, "JSON file with the tutorial's keys")->group(group);
  late.insert(late.begin(), [&o, file] {
    if (!file->empty()) o.quant = quant::read_config(*file);
  });
  // CLI11 assigns before the file is read: what was said on the command line is applied once more afterwards.
  const auto add_key = [&](const std::string& flag, const std::string& help, const std::string& type, std::function<void(quant::QuantConfig&, const std::string&)> set) {
    auto text = std::make_shared<std::string>();
    CLI::Option* option = app->add_option(flag, *text, help)->type_name(type)->take_last()->group(group);
    late.push_back([&o, text, option, set] {
      if (option->count() > 0) set(o.quant, *text);
    });
  };
  add_key("--scheme", "octet: the contract of docs/quantization.md; paddle: the tutorial's arithmetic; tensorrt: all activations signed [octet]",
          "octet|paddle|tensorrt", [](auto& c, const std::string& t) { c.scheme = quant::parse_scheme(t); });
  const auto json_key = [&](const std::string& flag, const std::string& key, const std::string& help, const std::string& type, bool quoted) {
    add_key(flag, help, type, [key, quoted](quant::QuantConfig& c, const std::string& t) {
      const std::string value = quoted ? "\"" + t + "\"" : t;
      quant::merge_config(c, "{\"" + key + "\": " + value + "}");
    });
  };
  json_key("--weight-preprocess-type", "weight_preprocess_type", "before weights are quantized", "None|PACT", true);
  json_key("--activation-preprocess-type", "activation_preprocess_type", "before activations are quantized", "None|PACT", true);
  json_key("--weight-quantize-type", "weight_quantize_type", "scales of weights", "channel_wise_abs_max|abs_max|channel_wise_lsq|lsq", true);
  json_key("--activation-quantize-type", "activation_quantize_type", "scales of activations", "moving_average_abs_max|abs_max|range_abs_max|min_max|lsq", true);
  json_key("--weight-bits", "weight_bits", "2 to 8", "N", false);
  json_key("--activation-bits", "activation_bits", "2 to 8", "N", false);
  json_key("--moving-rate", "moving_rate", "weight of the old value in moving averages", "R", false);
  json_key("--window-size", "window_size", "batches that range_abs_max looks back on", "N", false);
  json_key("--fuse-conv-bn", "fuse_conv_bn", "fold batch norms before fine-tuning", "true|false", false);
  add_key("--quantizable-layers", "layer types to quantize, separated by commas", "Conv2D,Linear,…", [](quant::QuantConfig& c, const std::string& t) {
    std::string list;
    for (const std::string& one : CLI::detail::split(t, ',')) list += (list.empty() ? "\"" : ", \"") + one + "\"";
    quant::merge_config(c, "{\"quantizable_layer_type\": [" + list + "]}");
  });
}

void add_general(CLI::App* app, Options& o) {
  const char* group = "General";
  add(app, "--threads", o.threads, "threads; 0: one per processor")->check(CLI::Range(0, 256))->group(group);
  add(app, "--seed", o.seed, "of initial weights, order and augmentation")->group(group);
  app->add_flag("--deterministic", o.deterministic, "leave vendor kernels out")->group(group);
  app->add_flag("--quiet", o.quiet, "no progress, results only")->group(group);
  app->add_flag("--json", o.json, "results as JSON on stdout, nothing else there")->group(group);
  app->add_option("--config", "TOML file with options of this subcommand, without their dashes")->type_name("FILE.toml")->group(group);
}

void add_out(CLI::App* app, Options& o, const std::string& help) { add(app, "--out", o.out, help)->group("General"); }

void add_model_file(CLI::App* app, Options& o, const std::string& help) { app->add_option("model", o.model, help)->required(); }

// Builds the whole tree of subcommands.
void build(CLI::App& app, Options& o, std::vector<std::function<void()>>& late) {
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("octet ") + OCTET_VERSION);
  const auto sub = [&](const char* name, const char* help, Command command) {
    CLI::App* s = app.add_subcommand(name, help);
    s->callback([&o, command] { o.command = command; });
    add_general(s, o);
    return s;
  };
  CLI::App* run = sub("run", "the whole tutorial: pre-train, quantize, fine-tune, export, run as integers, compare", Command::run);
  CLI::App* pretrain = sub("pretrain", "pre-train only: OUT/fp32.safetensors", Command::pretrain);
  CLI::App* qat = sub("qat", "quantize and fine-tune a pre-trained file, export, run, compare", Command::qat);
  for (CLI::App* s : {run, pretrain, qat}) {
    add_data(s, o);
    add_training(s, o);
    add_out(s, o, "folder of results");
  }
  for (CLI::App* s : {run, pretrain}) {
    add_model(s, o);
    add(s, "--epochs", o.epochs, "epochs of pre-training")->check(CLI::Range(0, 100000))->group("Training");
  }
  for (CLI::App* s : {run, qat}) {
    add(s, "--qat-epochs", o.qat_epochs, "epochs of fine-tuning")->check(CLI::Range(0, 100000))->group("Training");
    add_quantization(s, o, late);
  }
  add_model_file(qat, o, "fp32.safetensors of a pre-training");
  CLI::App* evaluate = sub("evaluate", "top-1 and top-5 of an fp32, QAT or int8 file", Command::evaluate);
  add_model_file(evaluate, o, "a .safetensors file of a run");
  add_data(evaluate, o);
  add(evaluate, "--batch-size", o.batch_size, "pictures at a time")->check(CLI::Range(1, 100000));
  CLI::App* exported = sub("export", "a QAT file to the integer model that the engine runs", Command::export_model);
  add_model_file(exported, o, "qat.safetensors of a run");
  exported->add_option("--out", o.out, "the file to write")->required();
  CLI::App* predict = sub("predict", "classes of PNG or JPEG files", Command::predict);
  add_model_file(predict, o, "a .safetensors file of a run");
  predict->add_option("pictures", o.pictures, "picture files")->required();
  CLI::App* dump = sub("dump-codes", "every layer's codes for chosen pictures, as .npy files", Command::dump_codes);
  add_model_file(dump, o, "int8.safetensors of a run");
  dump->add_option("--pictures", o.pictures, "picture files")->group("Data");
  dump->add_option("--index", o.indices, "pictures of the test set by number, for example 0,7")->delimiter(',')->check(CLI::NonNegativeNumber)->group("Data");
  add_data(dump, o);
  add_out(dump, o, "folder for the .npy files");
  sub("info", "version, processor, rows selected, build options, threads", Command::info);
}

// The options of --config FILE, as words to stand right behind the subcommand, so that the command line has the last word.
std::vector<std::string> with_config(std::vector<std::string> words) {
  for (std::size_t i = 1; i < words.size(); ++i) {
    std::string file;
    if (words[i] == "--config" && i + 1 < words.size()) file = words[i + 1];
    if (words[i].rfind("--config=", 0) == 0) file = words[i].substr(9);
    if (file.empty()) continue;
    std::vector<std::string> extra;
    for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(file)) {
      if (item.name == "++" || item.name == "--") continue;  // section marks
      if (item.inputs.size() == 1 && (item.inputs[0] == "true" || item.inputs[0] == "false") && item.name != "fuse-conv-bn") {
        if (item.inputs[0] == "true") extra.push_back("--" + item.name);
        continue;
      }
      for (const std::string& value : item.inputs) extra.push_back("--" + item.name + "=" + value);
    }
    words.insert(words.begin() + 1, extra.begin(), extra.end());
    return words;
  }
  return words;
}

void check_contradictions(const Options& o) {
  const auto refuse = [](const std::string& text) { throw EarlyExit(2, "mnv1_qat: " + text); };
  if (o.download && o.data == "synthetic") refuse("--download and --data synthetic contradict each other");
  if (o.quiet && o.json) refuse("--quiet and --json are two ways of saying what to print; give one");
  if (o.command == Command::dump_codes && o.pictures.empty() == o.indices.empty()) refuse("dump-codes takes either --pictures or --index");
  if (o.command == Command::qat && o.qat_epochs == 0) refuse("--qat-epochs 0 leaves the quantizers without data; give at least 1");
  if (o.command == Command::run && o.qat_epochs == 0) refuse("--qat-epochs 0 leaves the quantizers without data; use pretrain for fp32 alone");
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text;
}

}  // namespace

Options parse_command_line(int argc, const char* const* argv) {
  Options options;
  std::vector<std::function<void()>> late;
  CLI::App app("MobileNetV1 with quantization-aware training: from pictures to an integer model", "mnv1_qat");
  build(app, options, late);
  try {
    std::vector<std::string> words = with_config(std::vector<std::string>(argv + 1, argv + argc));
    std::reverse(words.begin(), words.end());
    app.parse(words);
    for (const auto& apply : late) apply();
    options.quant.check();
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    throw EarlyExit(0, chosen.empty() ? app.help() : chosen[0]->help());
  } catch (const CLI::CallForVersion& version) {
    throw EarlyExit(0, std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    throw EarlyExit(2, "mnv1_qat: " + one_line(error.what()) + " ---> HINT mnv1_qat [SUBCOMMAND] --help lists the options");
  } catch (const Error& error) {
    throw EarlyExit(2, std::string("mnv1_qat: ") + error.what());
  }
  check_contradictions(options);
  return options;
}

}  // namespace octet::app
