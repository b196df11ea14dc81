// The command line: every option, one clear line for what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/command_line.h"
#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using app::Command;

namespace {

app::Options parse(const Words& words) {
  std::vector<const char*> argv{"mnv1_qat"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return app::parse_command_line(static_cast<int>(argv.size()), argv.data());
}

// Refused with code 2 in one line that contains `part`.
void expect_wrong(const Words& words, const std::string& part) {
  try {
    parse(words);
    ADD_FAILURE() << words.back() << " is accepted, expected: " << part;
  } catch (const app::EarlyExit& exit) {
    const std::string text = exit.what();
    EXPECT_EQ(exit.code, 2) << text;
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_LT(text.size(), 400u) << text;
  }
}

std::string help_of(const Words& words) {
  try {
    parse(words);
  } catch (const app::EarlyExit& exit) {
    EXPECT_EQ(exit.code, 0);
    return exit.what();
  }
  ADD_FAILURE() << "no help";
  return {};
}

TEST(CommandLine, HelpOfEverySubcommandNamesItsOptions) {
  const std::string all = help_of({"--help"});
  const std::vector<std::pair<std::string, Words>> commands{
      {"run",
       {"--data",
        "--download",
        "--epochs",
        "--qat-epochs",
        "--batch-size",
        "--lr",
        "--momentum",
        "--weight-decay",
        "--schedule",
        "--augment",
        "--scale",
        "--variant",
        "--init",
        "--scheme",
        "--quant-config",
        "--weight-preprocess-type",
        "--activation-preprocess-type",
        "--weight-quantize-type",
        "--activation-quantize-type",
        "--weight-bits",
        "--activation-bits",
        "--moving-rate",
        "--window-size",
        "--quantizable-layers",
        "--fuse-conv-bn",
        "--equalize",
        "--adaround",
        "--bias-correction",
        "--threads",
        "--seed",
        "--deterministic",
        "--out",
        "--checkpoint-every",
        "--resume",
        "--quiet",
        "--json",
        "--config"}},
      {"pretrain", {"--epochs", "--scale", "--resume"}},
      {"qat", {"model", "--qat-epochs", "--scheme", "--resume"}},
      {"sensitivity", {"model", "--plot", "--budget", "--candidates", "--out", "--calibrate"}},
      {"evaluate", {"model", "--data", "--limit-test", "--device"}},
      {"export", {"model", "--out"}},
      {"predict", {"model", "pictures"}},
      {"dump-codes", {"model", "--index", "--pictures", "--out"}},
      {"info", {"--threads", "--json"}}};
  for (const auto& [command, options] : commands) {
    EXPECT_NE(all.find("  " + command + " "), std::string::npos) << command;
    const std::string help = help_of({command, "--help"});
    EXPECT_NE(help.find("Usage: mnv1_qat " + command), std::string::npos) << help;
    for (const std::string& option : options)
      EXPECT_NE(help.find(option), std::string::npos) << command << " " << option;
  }
}

TEST(CommandLine, DefaultsAreTheTutorials) {
  const app::Options o = parse({"run"});
  EXPECT_EQ(o.command, Command::run);
  EXPECT_EQ(o.data, "auto");
  EXPECT_EQ(o.epochs, 5);
  EXPECT_EQ(o.qat_epochs, 2);
  EXPECT_EQ(o.batch_size, 256);
  EXPECT_EQ(o.lr, 0.1);
  EXPECT_EQ(o.momentum, 0.9);
  EXPECT_EQ(o.weight_decay, 0);
  EXPECT_EQ(o.label_smoothing, 0);
  EXPECT_EQ(o.cutout, 0);
  EXPECT_EQ(o.sharpness, 0);
  EXPECT_EQ(o.warmup_steps, 0);
  EXPECT_FALSE(o.nesterov);
  EXPECT_EQ(o.scale, 1.0);
  EXPECT_FALSE(o.resume || o.quiet || o.json || o.deterministic || o.download);
}

TEST(CommandLine, EveryOptionArrives) {
  const app::Options o = parse({"run",
                                "--data",
                                "d",
                                "--epochs",
                                "7",
                                "--qat-epochs=3",
                                "--batch-size",
                                "8",
                                "--lr",
                                "1e-3",
                                "--momentum",
                                "0.5",
                                "--weight-decay",
                                "1e-4",
                                "--schedule",
                                "cosine",
                                "--augment",
                                "crop-flip",
                                "--scale",
                                "0.5",
                                "--variant",
                                "cifar",
                                "--init",
                                "paddle",
                                "--threads",
                                "3",
                                "--seed",
                                "18446744073709551615",
                                "--deterministic",
                                "--out",
                                "o",
                                "--checkpoint-every",
                                "9",
                                "--resume",
                                "--quiet",
                                "--json",
                                "--limit-train",
                                "10",
                                "--limit-test",
                                "11",
                                "--nesterov",
                                "--label-smoothing",
                                "0.1",
                                "--coarse-epochs",
                                "4",
                                "--cutout",
                                "12",
                                "--sharpness-aware",
                                "0.05",
                                "--warmup-steps",
                                "13"});
  EXPECT_EQ(o.data, "d");
  EXPECT_EQ(o.epochs, 7);
  EXPECT_EQ(o.qat_epochs, 3);
  EXPECT_EQ(o.batch_size, 8);
  EXPECT_EQ(o.lr, 1e-3);
  EXPECT_EQ(o.momentum, 0.5);
  EXPECT_EQ(o.weight_decay, 1e-4);
  EXPECT_EQ(o.label_smoothing, 0.1);
  EXPECT_EQ(o.coarse_epochs, 4);
  EXPECT_EQ(o.schedule, optim::ScheduleKind::cosine);
  EXPECT_EQ(o.augment, data::Augment::crop_flip);
  EXPECT_EQ(o.cutout, 12);
  EXPECT_EQ(o.sharpness, 0.05);
  EXPECT_EQ(o.warmup_steps, 13);
  EXPECT_EQ(o.scale, 0.5);
  EXPECT_EQ(o.variant, nn::Variant::cifar);
  EXPECT_EQ(o.init, nn::Init::paddle);
  EXPECT_EQ(o.threads, 3);
  EXPECT_EQ(o.seed, 18446744073709551615u);
  EXPECT_TRUE(o.deterministic && o.resume && o.quiet && o.json && o.nesterov);
  EXPECT_EQ(o.out, "o");
  EXPECT_EQ(o.checkpoint_every, 9);
  EXPECT_EQ(o.limit_train, 10);
  EXPECT_EQ(o.limit_test, 11);
}

TEST(CommandLine, KeysOfMethodsArrive) {
  const auto o = parse({"qat",
                        "m",
                        "--activation-percentile",
                        "99.5",
                        "--weight-percentile",
                        "98",
                        "--ste",
                        "ewgs",
                        "--ewgs-delta",
                        "0.3",
                        "--activation-power-of-two",
                        "true",
                        "--weight-power-of-two",
                        "true",
                        "--oscillation-threshold",
                        "0.03",
                        "--oscillation-threshold-end",
                        "0.01",
                        "--oscillation-momentum",
                        "0.2",
                        "--dampening",
                        "2",
                        "--distill",
                        "0.4",
                        "--distill-temperature",
                        "3",
                        "--first-last-bits",
                        "7",
                        "--precision",
                        "f32"});
  const auto& q = o.quant;
  EXPECT_EQ(q.activation_percentile, 99.5);
  EXPECT_EQ(q.weight_percentile, 98);
  EXPECT_EQ(q.ste, quant::Ste::ewgs);
  EXPECT_EQ(q.ewgs_delta, 0.3);
  EXPECT_TRUE(q.activation_power_of_two && q.weight_power_of_two);
  EXPECT_EQ(q.oscillation_threshold, 0.03);
  EXPECT_EQ(q.oscillation_threshold_end, 0.01);
  EXPECT_EQ(q.oscillation_momentum, 0.2);
  EXPECT_EQ(q.dampening, 2);
  EXPECT_EQ(q.distill, 0.4);
  EXPECT_EQ(q.distill_temperature, 3);
  EXPECT_EQ(q.first_last_bits, 7);
  EXPECT_EQ(o.precision, ops::Precision::f32);
  EXPECT_TRUE(parse({"qat", "m", "--activation-affine", "true"}).quant.activation_affine);
  EXPECT_EQ(parse({"qat", "m", "--adaround", "77"}).quant.adaround_steps, 77);
}

TEST(CommandLine, EveryQuantizationKeyArrives) {
  const auto q = parse({"qat",
                        "m",
                        "--scheme",
                        "paddle",
                        "--weight-preprocess-type",
                        "PACT",
                        "--activation-preprocess-type",
                        "PACT",
                        "--weight-quantize-type",
                        "abs_max",
                        "--activation-quantize-type",
                        "range_abs_max",
                        "--weight-bits",
                        "4",
                        "--activation-bits",
                        "5",
                        "--moving-rate",
                        "0.8",
                        "--window-size",
                        "77",
                        "--quantizable-layers",
                        "Conv2D,Linear",
                        "--fuse-conv-bn",
                        "true",
                        "--equalize",
                        "cross_layer",
                        "--bias-correction",
                        "analytic"})
                     .quant;
  EXPECT_EQ(q.scheme, quant::Scheme::paddle);
  EXPECT_EQ(q.weight_preprocess_type, quant::Preprocess::pact);
  EXPECT_EQ(q.activation_preprocess_type, quant::Preprocess::pact);
  EXPECT_EQ(q.weight_quantize_type, quant::WeightQuantize::abs_max);
  EXPECT_EQ(q.activation_quantize_type, quant::ActivationQuantize::range_abs_max);
  EXPECT_EQ(q.weight_bits, 4);
  EXPECT_EQ(q.activation_bits, 5);
  EXPECT_EQ(q.moving_rate, 0.8);
  EXPECT_EQ(q.window_size, 77);
  EXPECT_EQ(q.quantizable_layer_type, (Words{"Conv2D", "Linear"}));
  EXPECT_TRUE(q.fuse_conv_bn);
  const auto b =
      parse({"qat", "m", "--batch-norm", "folded", "--batch-norm-freeze-epoch", "3", "--batch-norm-reestimate", "40",
             "--activation-preprocess-type", "PACT", "--pact-decay", "0.002"})
          .quant;
  EXPECT_EQ(b.batch_norm, quant::BatchNormMode::folded);
  EXPECT_EQ(b.batch_norm_freeze_epoch, 3);
  EXPECT_EQ(b.batch_norm_reestimate_batches, 40);
  EXPECT_EQ(b.pact_decay, 0.002);
  EXPECT_EQ(q.equalize, quant::Equalize::cross_layer);
  EXPECT_EQ(q.bias_correction, quant::BiasCorrection::analytic);
}

TEST(CommandLine, OtherSubcommands) {
  EXPECT_EQ(parse({"evaluate", "m"}).command, Command::evaluate);
  EXPECT_EQ(parse({"export", "m", "--out", "e"}).export_file, "e");
  EXPECT_EQ(parse({"predict", "m", "a.png", "b.jpg"}).pictures, (Words{"a.png", "b.jpg"}));
  const app::Options dump = parse({"dump-codes", "m", "--index", "0,7"});
  EXPECT_EQ(dump.indices, (std::vector<std::int64_t>{0, 7}));
  EXPECT_EQ(dump.codes_dir, "codes");
  EXPECT_EQ(parse({"qat", "m"}).model, "m");
}

TEST(CommandLine, WrongOptionsAreRefused) {
  expect_wrong({}, "subcommand");
  expect_wrong({"bogus"}, "unknown subcommand 'bogus'");
  expect_wrong({"run", "--bogus"}, "--bogus");
  expect_wrong({"run", "extra"}, "extra");
  expect_wrong({"run", "--batch-size", "0"}, "--batch-size");
  expect_wrong({"run", "--batch-size", "2.5"}, "--batch-size");
  expect_wrong({"run", "--epochs", "-1"}, "--epochs");
  expect_wrong({"run", "--epochs", "99999999999999999999"}, "--epochs");
  expect_wrong({"run", "--qat-epochs", "0"}, "--qat-epochs");
  for (const char* scale : {"0.2", "1.5", "nan", "-1", "x", ""}) expect_wrong({"run", "--scale", scale}, "--scale");
  for (const char* lr : {"0", "-1", "nan", "inf", "x"}) expect_wrong({"run", "--lr", lr}, "--lr");
  for (const char* momentum : {"1", "nan", "-0.1"}) expect_wrong({"run", "--momentum", momentum}, "--momentum");
  expect_wrong({"run", "--weight-decay", "nan"}, "--weight-decay");
  expect_wrong({"run", "--label-smoothing", "1"}, "--label-smoothing");
  expect_wrong({"run", "--seed", "-1"}, "--seed");
  expect_wrong({"run", "--threads", "257"}, "--threads");
  expect_wrong({"run", "--checkpoint-every", "-5"}, "--checkpoint-every");
  expect_wrong({"run", "--limit-train", "-5"}, "--limit-train");
  expect_wrong({"run", "--schedule", "linear"}, "--schedule");
  expect_wrong({"run", "--variant", "CIFAR"}, "--variant");
  expect_wrong({"run", "--lr"}, "--lr");
  expect_wrong({"qat"}, "model");
  expect_wrong({"export", "m"}, "--out");
  expect_wrong({"predict", "m"}, "pictures");
  expect_wrong({"dump-codes", "m", "--index", "1,x"}, "--index");
}

TEST(CommandLine, WrongQuantizationIsRefused) {
  expect_wrong({"run", "--scheme", "other"}, "'other'");
  expect_wrong({"run", "--weight-bits", "9"}, "weight_bits");
  expect_wrong({"run", "--weight-bits", "1"}, "weight_bits");
  expect_wrong({"run", "--weight-bits", "abc"}, "weight_bits");
  expect_wrong({"run", "--weight-bits", "8, \"scheme\": \"paddle\""}, "weight_bits");
  expect_wrong({"run", "--weight-quantize-type", "a\"b"}, "weight_quantize_type");
  expect_wrong({"run", "--weight-quantize-type", "\xff\xfe"}, "weight_quantize_type");
  expect_wrong({"run", "--fuse-conv-bn", "maybe"}, "fuse_conv_bn");
  expect_wrong({"run", "--quantizable-layers", "Conv2D,Foo"}, "'Foo'");
  expect_wrong({"run", "--quantizable-layers", ""}, "quantizable_layer_type");
  expect_wrong({"run", "--moving-rate", "1"}, "moving_rate");
  expect_wrong({"run", "--window-size", "0"}, "window_size");
  expect_wrong({"run", "--batch-norm", "gone"}, "known: kept, folded");
  expect_wrong({"run", "--batch-norm", "folded", "--fuse-conv-bn", "true"},
               "fuse_conv_bn leaves no batch norm to train");
  expect_wrong({"run", "--batch-norm-freeze-epoch", "-2"}, "batch_norm_freeze_epoch is -2");
  expect_wrong({"run", "--batch-norm-reestimate", "x"}, "batch_norm_reestimate_batches");
  expect_wrong({"run", "--pact-decay", "0.1"}, "there are none");
}

TEST(CommandLine, ContradictionsAreRefused) {
  expect_wrong({"run", "--download", "--data", "synthetic"}, "--download and --data");
  expect_wrong({"run", "--download-url", "file:///x"}, "--download");
  expect_wrong({"dump-codes", "m"}, "--pictures or --index");
  expect_wrong({"dump-codes", "m", "--index", "1", "--pictures", "p"}, "--pictures or --index");
  expect_wrong({"run", "--scheme", "paddle", "--activation-quantize-type", "min_max"}, "min_max");
  expect_wrong({"run", "--activation-quantize-type", "lsq", "--activation-preprocess-type", "PACT"}, "PACT");
}

TEST(CommandLine, QuantConfigFileAndOptionsOverIt) {
  const TempFolder folder;
  const std::string file = folder / "quant.json";
  write_bytes(file, R"({"scheme": "paddle", "weight_bits": 6, "activation_bits": 7, "weight_preprocess_type": null})");
  const auto q = parse({"run", "--activation-bits", "5", "--quant-config", file}).quant;
  EXPECT_EQ(q.scheme, quant::Scheme::paddle);
  EXPECT_EQ(q.weight_bits, 6);
  EXPECT_EQ(q.activation_bits, 5);
  write_bytes(file, R"({"weight_bitz": 6})");
  expect_wrong({"run", "--quant-config", file}, "'weight_bitz'");
  expect_wrong({"run", "--quant-config", file}, file);
  write_bytes(file, "{");
  expect_wrong({"run", "--quant-config", file}, file);
  expect_wrong({"run", "--quant-config", folder / "none.json"}, "none.json");
}

TEST(CommandLine, ProgramEndsWithTwoAndOneLine) {
  expect_refused(mnv1_qat({"run", "--batch-size", "0"}), 2, {"--batch-size"});
  expect_refused(mnv1_qat({"bogus"}), 2, {"bogus"});
  expect_refused(mnv1_qat({}), 2, {"--help"});
}

TEST(CommandLine, VersionHelpAndInfo) {
  const Ended version = mnv1_qat({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, std::string("octet ") + OCTET_VERSION + "\n");
  EXPECT_EQ(mnv1_qat({"run", "--help"}).code, 0);
  const Ended text = mnv1_qat({"info"});
  EXPECT_EQ(text.code, 0);
  for (const char* part : {"version", "cpu", "isa_used", "threads", "conv2d_fwd f32"})
    EXPECT_NE(text.out.find(part), std::string::npos) << part;
  const Ended json = mnv1_qat({"info", "--json", "--threads", "2"}, {{"OCTET_ISA", "reference"}});
  const auto j = nlohmann::json::parse(json.out);
  EXPECT_EQ(j["threads"], 2);
  EXPECT_EQ(j["isa_used"], "reference");
  EXPECT_EQ(j["rows"]["conv2d_fwd f32"], "reference");
}

TEST(CommandLine, UnwritableStdoutIsAnError) {
  // sh gives the program a full device as stdout.
  const std::string command = std::string(OCTET_BIN_DIR) + "/mnv1_qat info > /dev/full 2> /dev/null";
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
}

}  // namespace
