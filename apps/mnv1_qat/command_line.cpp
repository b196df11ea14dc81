#include "apps/mnv1_qat/command_line.h"

#include <algorithm>

#include "apps/mnv1_qat/config_file.h"
#include "apps/mnv1_qat/methods.h"
#include "apps/mnv1_qat/option_groups.h"
#include "apps/mnv1_qat/quant_options.h"
#include "core/closest_name.h"

namespace octet::app {
namespace {

constexpr const char* kRunsThere = "where the model runs; cuda needs a build with CUDA and a device";

CLI::App* add_command(CLI::App& app, Options& o, const char* name, const char* help, Command command) {
  CLI::App* s = app.add_subcommand(name, help);
  s->callback([&o, command] { o.command = command; });
  if (command != Command::bench) add_threads(s, o);  // which takes several
  add_general(s, o);
  return s;
}

using QuantOptionsOf = std::map<CLI::App*, QuantOptions>;

void add_training_commands(CLI::App& app, Options& o, QuantOptionsOf& quant) {
  CLI::App* run =
      add_command(app, o, "run", "the whole tutorial: pre-train, quantize, fine-tune, export, run as integers, compare",
                  Command::run);
  CLI::App* pretrain = add_command(app, o, "pretrain", "pre-train only: OUT/fp32.safetensors", Command::pretrain);
  CLI::App* qat =
      add_command(app, o, "qat", "quantize and fine-tune a pre-trained file, export, run, compare", Command::qat);
  add_model_file(qat, o, "fp32.safetensors of a pre-training");
  for (CLI::App* s : {run, pretrain, qat}) {
    add_data(s, o);
    add_training(s, o);
    s->add_flag("--resume", o.resume, "go on where the run in --out stopped")->group("Training");
    add_profile(s, o);
    add_out(s, o.out, "folder of results");
  }
  for (CLI::App* s : {run, pretrain}) {
    add_model(s, o);
    add_pretraining(s, o);
  }
  for (CLI::App* s : {run, qat}) {
    add(s, "--qat-epochs", o.qat_epochs, "epochs of fine-tuning")
        ->check(whole<std::int64_t>(1, kEpochs))
        ->group("Training");
    quant[s].add_to(*s);
    s->add_option("--trace-quant", o.trace_dir,
                  "write what fine-tuning does to scales and codes: DIR/quant_trace.jsonl")
        ->type_name("DIR")
        ->take_last()
        ->group("General");
    add(s, "--trace-every", o.trace_every, "steps between its lines")
        ->check(whole<std::int64_t>(1, 1000000))
        ->group("General");
  }
}

void add_calibration(CLI::App* app, Options& o) {
  add_data(app, o);
  add(app, "--calibrate", o.calibrate, "training pictures that set the ranges")
      ->check(whole<std::int64_t>(1, 1000000))
      ->group("Data");
  add(app, "--batch-size", o.batch_size, "pictures at a time")
      ->check(whole<std::int64_t>(1, kLargestBatch))
      ->group("Data");
}

void add_ptq(CLI::App& app, Options& o, QuantOptionsOf& quant) {
  CLI::App* ptq = add_command(app, o, "ptq",
                              "quantize a pre-trained file without training: OUT/int8.safetensors, compared with fp32",
                              Command::ptq);
  add_model_file(ptq, o, "fp32.safetensors of a pre-training");
  add_calibration(ptq, o);
  add_out(ptq, o.ptq_dir, "folder of results");
  quant[ptq].add_to(*ptq);
}

CLI::Option* add_page(CLI::App* app, Options& o) {
  return app->add_option("-o,--page", o.page, "write an HTML page")
      ->type_name("FILE.html")
      ->take_last()
      ->group("General");
}

void add_commands_of_laboratory(CLI::App& app, Options& o, QuantOptionsOf& quant) {
  CLI::App* sensitivity =
      add_command(app, o, "sensitivity", "which layers lose accuracy: one quantized at a time, and all but one",
                  Command::sensitivity);
  add_model_file(sensitivity, o, "qat or ptq.safetensors; or fp32.safetensors, which is calibrated first as ptq does");
  add_calibration(sensitivity, o);
  CLI::Option* plot = sensitivity->add_option("--plot", o.plot, "write the sorted layers as a picture")
                          ->type_name("FILE.svg")
                          ->take_last()
                          ->group("General");
  const char* bits = "Bits under a budget";
  CLI::Option* budget = sensitivity
                            ->add_option("--budget", o.budget,
                                         "choose bits for each layer's weights, which together take this share of the "
                                         "fp32 size, for example 0.125")
                            ->type_name("SHARE")
                            ->check(in_range("0.01 to 1", 0.01, 1.0))
                            ->take_last()
                            ->excludes(plot)
                            ->group(bits);
  sensitivity->add_option("--candidates", o.candidates, "numbers of bits to choose from")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole(2, 8))
      ->capture_default_str()
      ->needs(budget)
      ->group(bits);
  sensitivity->add_option("-o,--out", o.bits_file, "write them as a configuration for ptq and qat")
      ->type_name("FILE.json")
      ->take_last()
      ->needs(budget)
      ->group(bits);
  quant[sensitivity].add_to(*sensitivity);

  CLI::App* inspect = add_command(
      app, o, "inspect", "one picture's way through the net: floats beside codes, value by value", Command::inspect);
  add_model_file(inspect, o, "qat.safetensors of a run, or ptq.safetensors of a calibration");
  inspect->add_option("--picture", o.pictures, "a PNG or JPEG file")->expected(1)->type_name("FILE")->group("Data");
  inspect->add_option("--index", o.indices, "or a picture of the test set by number")
      ->expected(1)
      ->check(kCount)
      ->group("Data");
  add_test_data(inspect, o);
  inspect->add_option("--layer", o.layer, "only values with this name, in numbers too; '*' stands for any text")
      ->type_name("NAME")
      ->take_last()
      ->group("General");
  add_page(inspect, o);

  CLI::App* report =
      add_command(app, o, "report", "a page about a run: accuracy, ranges, errors layer by layer, warnings, confusions",
                  Command::report);
  report->add_option("dir", o.run_dir, "the folder of a run or of a ptq")->required()->type_name("DIR");
  add_test_data(report, o);
  add(report, "--batch-size", o.batch_size, "pictures at a time")
      ->check(whole<std::int64_t>(1, kLargestBatch))
      ->group("Data");
  report->add_option("--trace", o.trace_dir, "the folder of a --trace-quant; without it the run's own")
      ->type_name("DIR")
      ->take_last()
      ->group("Data");
  add_page(report, o)->required();
}

void add_compare(CLI::App& app, Options& o, QuantOptionsOf& quant) {
  CLI::App* compare = add_command(
      app, o, "compare",
      "methods of quantization side by side: every method, number of bits and seed, all from the same fp32 weights",
      Command::compare);
  compare
      ->add_option(
          "models", o.models,
          "fp32.safetensors, one for all seeds or one a seed; without any they are pre-trained first, by options "
          "that otherwise do nothing (--net, --scale, --variant, --init, --epochs, --coarse-epochs, --lr)")
      ->type_name("FILE");
  const char* group = "Grid";
  const auto list = [&](const char* flag, auto& value, const char* help) {
    return compare->add_option(flag, value, help)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->capture_default_str()
        ->group(group);
  };
  list("--methods", o.methods, "names that --list prints, or all")->type_name("NAME,…");
  list("--bits", o.bits, "of weights and activations, for example 8,4")->check(whole(2, 8));
  add(compare, "--seeds", o.seeds, "seeds, from --seed on")->check(whole<std::int64_t>(1, 1000))->group(group);
  compare->add_flag("--list", o.list, "print the methods")->group(group);
  compare
      ->add_flag("--keep-models", o.keep_models,
                 "keep every quantized model in --out, for report, sensitivity and inspect")
      ->group(group);
  add_data(compare, o);
  add_model(compare, o);
  add_training(compare, o);
  add_pretraining(compare, o);
  add(compare, "--qat-epochs", o.qat_epochs, "epochs of fine-tuning")
      ->check(whole<std::int64_t>(1, kEpochs))
      ->group("Training");
  add(compare, "--qat-lr", o.qat_lr, "learning rate of fine-tuning; --lr is that of pre-training")
      ->check(above_zero())
      ->group("Training");
  add(compare, "--calibrate", o.calibrate, "training pictures that set the ranges of methods without training")
      ->check(whole<std::int64_t>(1, 1000000))
      ->group("Training");
  add(compare, "-o,--out", o.compare_dir, "folder of results; a grid that stopped there goes on")->group("General");
  quant[compare].add_to(*compare);
}

void add_commands_of_use(CLI::App& app, Options& o) {
  CLI::App* evaluate =
      add_command(app, o, "evaluate", "top-1 and top-5 of an fp32, QAT or int8 file", Command::evaluate);
  add_model_file(evaluate, o, "a .safetensors file of a run");
  add_test_data(evaluate, o);
  add_device(evaluate, o, kRunsThere);
  add_profile(evaluate, o);
  add(evaluate, "--batch-size", o.batch_size, "pictures at a time")
      ->check(whole<std::int64_t>(1, kLargestBatch))
      ->group("Data");

  CLI::App* exported =
      add_command(app, o, "export", "a model as the engine, or other runtimes, run it", Command::export_model);
  add_model_file(exported, o, "fp32, qat or int8.safetensors of a run");
  add_choice<ExportFormat>(exported, "--format", o.export_format,
                           {{"safetensors", ExportFormat::safetensors},
                            {"onnx", ExportFormat::onnx},
                            {"onnx-fp32", ExportFormat::onnx_fp32}},
                           "the engine's file; ONNX of the integers (Q/DQ); ONNX of the floats")
      ->group("General");
  exported->add_option("-o,--out", o.export_file, "the file to write")->required()->type_name("FILE");

  CLI::App* predict = add_command(app, o, "predict", "classes of PNG or JPEG files", Command::predict);
  add_model_file(predict, o, "a .safetensors file of a run");
  add_device(predict, o, kRunsThere);
  predict->add_option("pictures", o.pictures, "picture files, or folders of them")->required();

  CLI::App* dump =
      add_command(app, o, "dump-codes", "every layer's codes for chosen pictures, as .npy files", Command::dump_codes);
  add_model_file(dump, o, "int8.safetensors of a run");
  dump->add_option("--pictures", o.pictures, "picture files")->group("Data");
  dump->add_option("--index", o.indices, "pictures of the test set by number, for example 0,7")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(kCount)
      ->group("Data");
  add_test_data(dump, o);
  add_device(dump, o, kRunsThere);
  add_out(dump, o.codes_dir, "folder for the .npy files");

  add_command(app, o, "info", "version, processor, rows selected, build options, threads", Command::info);
}

void add_commands_of_deployment(CLI::App& app, Options& o) {
  CLI::App* verify = add_command(
      app, o, "verify", "layer by layer: does what was trained run as integers, and in ONNX Runtime?", Command::verify);
  add_model_file(verify, o,
                 "qat.safetensors of a run; or an fp32 model or a file of the engine, to be held against --onnx");
  verify
      ->add_option("--int8", o.int8_file, "the engine's file of this QAT model; without it the model is converted anew")
      ->type_name("FILE");
  verify->add_option("--onnx", o.onnx_file, "an exported file, to be run in ONNX Runtime")->type_name("FILE.onnx");
  verify->add_option("--python", o.python, "a Python that has onnxruntime; else $OCTET_PYTHON, build/python, python3")
      ->type_name("PROGRAM");
  add_test_data(verify, o);
  add_device(verify, o, "where the engine runs; cuda needs a build with CUDA and a device");

  CLI::App* bench =
      add_command(app, o, "bench", "latency and throughput of a model in the engine, fp32 and int8", Command::bench);
  add_model_file(bench, o, "a .safetensors file of a run");
  add_device(bench, o, kRunsThere);
  bench->add_option("--batch", o.batches, "pictures at a time, for example 1,64")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole<std::int64_t>(1, kLargestBatch))
      ->capture_default_str();
  bench->add_option("--threads", o.thread_counts, "threads, for example 1,2; without it 1 and one per processor")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(whole(1, kMostThreads));
  add(bench, "--seconds", o.seconds, "time for each case")->check(in_range("0.01 to 3600", 0.01, 3600.0));
  bench->add_flag("--serve", o.serve,
                  "obey lines on stdin (docs/deploy.md), for measuring in turn with other programs");
}

void check_contradictions(const Options& o) {
  const auto refuse = [](const std::string& text) { throw EarlyExit(2, "mnv1_qat: " + text); };
  if (o.download && o.data != "auto") refuse("--download and --data are two sources of pictures; give one");
  if (o.net == "small_resnet" && o.variant == nn::Variant::cifar)
    refuse("small_resnet has no --variant: its strides are those of CIFAR nets");
  if (o.coarse_epochs > 0 && o.variant != nn::Variant::cifar)
    refuse("--coarse-epochs is for --variant cifar, whose maps are large");
  if (o.coarse_epochs > 0 && o.coarse_epochs >= o.epochs)
    refuse(fmt::format("--coarse-epochs {} leaves no epoch of {} for maps of full size", o.coarse_epochs, o.epochs));
  if (o.sharpness > 0 && o.device != Device::cpu)
    refuse("--sharpness-aware trains on the processor only; leave --device out");
  if (o.command == Command::inspect && o.pictures.empty() == o.indices.empty())
    refuse("inspect takes either --picture or --index");
  if (o.command == Command::dump_codes && o.pictures.empty() == o.indices.empty())
    refuse("dump-codes takes either --pictures or --index");
}

void require_once(const char* option, const std::vector<int>& numbers) {
  for (const int number : numbers)
    if (std::count(numbers.begin(), numbers.end(), number) > 1)
      throw EarlyExit(2, fmt::format("mnv1_qat: {} has {} twice", option, number));
}

void check_grid(const Options& o) {
  const auto refuse = [](const std::string& text) { throw EarlyExit(2, "mnv1_qat: " + text); };
  if (o.models.size() > 1 && static_cast<std::int64_t>(o.models.size()) != o.seeds)
    refuse(fmt::format("compare takes one fp32 file for all seeds, or one for each of the {}; it has {}", o.seeds,
                       o.models.size()));
  require_once("--bits", o.bits);
  if (o.quant.weight_bits != quant::QuantConfig{}.weight_bits ||
      o.quant.activation_bits != quant::QuantConfig{}.activation_bits)
    refuse("compare takes the bits of weights and activations from --bits");
  const quant::QuantConfig plain;
  if (o.quant.weight_quantize_type != plain.weight_quantize_type ||
      o.quant.activation_quantize_type != plain.activation_quantize_type ||
      o.quant.weight_preprocess_type != plain.weight_preprocess_type ||
      o.quant.activation_preprocess_type != plain.activation_preprocess_type)
    refuse("compare takes the quantizers of weights and activations from --methods");
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  return text;
}

std::string help_of(CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app.help() : chosen[0]->help(app.get_name());
}

// CLI11 would only miss a subcommand.
void require_known_subcommand(CLI::App& app, const std::vector<std::string>& words) {
  if (words.empty() || words[0].starts_with("-")) return;
  std::vector<std::string> known;
  for (const CLI::App* one : app.get_subcommands([](CLI::App*) { return true; })) known.push_back(one->get_name());
  if (std::find(known.begin(), known.end(), words[0]) == known.end())
    throw EarlyExit(2, one_line(fmt::format("mnv1_qat: unknown subcommand '{}' ---> HINT did you mean '{}'? mnv1_qat "
                                            "--help lists them",
                                            words[0], closest_name(words[0], known))));
}

}  // namespace

Options parse_command_line(int argc, const char* const* argv) {
  Options options;
  QuantOptionsOf quant;
  CLI::App app("Small nets with quantization-aware training: from pictures to an integer model", "mnv1_qat");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("octet ") + OCTET_VERSION);
  add_training_commands(app, options, quant);
  add_ptq(app, options, quant);
  add_commands_of_use(app, options);
  add_commands_of_deployment(app, options);
  add_commands_of_laboratory(app, options, quant);
  add_compare(app, options, quant);
  std::vector<std::string> words(argv + 1, argv + argc);
  require_known_subcommand(app, words);
  try {
    words = with_config(app, words);
    std::reverse(words.begin(), words.end());
    app.parse(words);
    for (const auto& [subcommand, given] : quant)
      if (subcommand->parsed()) given.apply(options.quant), options.quant_given = given.given();
    options.quant.check();
    if (options.command == Command::compare) find_methods(options.methods);
  } catch (const CLI::CallForHelp&) {
    throw EarlyExit(0, help_of(app));
  } catch (const CLI::CallForVersion& version) {
    throw EarlyExit(0, std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    throw EarlyExit(2, fmt::format("mnv1_qat: {} ---> HINT mnv1_qat {}--help lists the options", one_line(error.what()),
                                   chosen.empty() ? "" : chosen[0]->get_name() + " "));
  } catch (const Error& error) {
    throw EarlyExit(2, std::string("mnv1_qat: ") + error.what());
  }
  check_contradictions(options);
  require_once("--candidates", options.candidates);
  if (options.command == Command::compare) check_grid(options);
  return options;
}

}  // namespace octet::app
