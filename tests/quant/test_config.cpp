#include "quant/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet::quant {
namespace {

TEST(QuantConfig, DefaultsAreTheTutorials) {
  const QuantConfig config = parse_config("{}");
  EXPECT_EQ(config.scheme, Scheme::octet);
  EXPECT_EQ(config.weight_quantize_type, WeightQuantize::channel_wise_abs_max);
  EXPECT_EQ(config.activation_quantize_type, ActivationQuantize::moving_average_abs_max);
  EXPECT_EQ(config.weight_bits, 8);
  EXPECT_EQ(config.window_size, 10000);
  EXPECT_EQ(config.moving_rate, 0.9);
  EXPECT_TRUE(config.quantizes_conv(false) && config.quantizes_conv(true) && config.quantizes_linear());
}

TEST(QuantConfig, ReadsTheTutorialsDictionary) {
  const QuantConfig config = parse_config(R"({"weight_preprocess_type": null, "activation_preprocess_type": "PACT",
    "weight_quantize_type": "abs_max", "activation_quantize_type": "range_abs_max", "weight_bits": 4, "activation_bits": 6,
    "dtype": "int8", "window_size": 50, "moving_rate": 0.5, "quantizable_layer_type": ["DepthwiseConv2D"], "fuse_conv_bn": true,
    "onnx_format": false, "scheme": "paddle", "equalize": "cross_layer_absorb", "bias_correction": "empirical"})");
  EXPECT_EQ(config.weight_preprocess_type, Preprocess::none);
  EXPECT_EQ(config.activation_preprocess_type, Preprocess::pact);
  EXPECT_EQ(config.weight_quantize_type, WeightQuantize::abs_max);
  EXPECT_EQ(config.activation_quantize_type, ActivationQuantize::range_abs_max);
  EXPECT_EQ(config.weight_bits, 4);
  EXPECT_EQ(config.activation_bits, 6);
  EXPECT_EQ(config.window_size, 50);
  EXPECT_EQ(config.moving_rate, 0.5);
  EXPECT_TRUE(config.quantizes_conv(true));
  EXPECT_FALSE(config.quantizes_conv(false));
  EXPECT_FALSE(config.quantizes_linear());
  EXPECT_TRUE(config.fuse_conv_bn);
  EXPECT_FALSE(config.onnx_format);
  EXPECT_EQ(config.equalize, Equalize::cross_layer_absorb);
  EXPECT_EQ(config.bias_correction, BiasCorrection::empirical);
  EXPECT_EQ(config.scheme, Scheme::paddle);
}

TEST(QuantConfig, JsonComesBackEqual) {
  QuantConfig config;
  config.scheme = Scheme::tensorrt;
  config.weight_quantize_type = WeightQuantize::channel_wise_lsq;
  config.activation_quantize_type = ActivationQuantize::lsq;
  config.weight_bits = 2;
  config.first_last_bits = 7;
  config.moving_rate = 0.123;
  config.weight_percentile = 98.5, config.activation_percentile = 99.5;
  config.ste = Ste::plain;
  config.quantizable_layer_type = {"Linear"};
  config.equalize = Equalize::cross_layer;
  config.bias_correction = BiasCorrection::analytic;
  EXPECT_EQ(to_json(parse_config(to_json(config))), to_json(config));
}

TEST(QuantConfig, BitsOfSingleLayers) {
  const QuantConfig config = parse_config(R"({"weight_bits": 4, "activation_bits": 4, "layer_bits": {"fc": 8,
    "blocks.*.dw.conv": {"weight_bits": 8}, "blocks.3.*": {"activation_bits": 5}}})");
  ASSERT_EQ(config.layer_bits.size(), 3u);
  const auto bits = [&](const std::string& path) {
    return bits_of(config.layer_bits, path, config.weight_bits, config.activation_bits);
  };
  EXPECT_EQ(bits("fc"), (LayerBits{"fc", 8, 8}));
  EXPECT_EQ(bits("conv1.conv"), (LayerBits{"conv1.conv", 4, 4}));
  EXPECT_EQ(bits("blocks.2.dw.conv"), (LayerBits{"blocks.2.dw.conv", 8, 4}));
  EXPECT_EQ(bits("blocks.3.dw.conv"), (LayerBits{"blocks.3.dw.conv", 8, 5}));
  EXPECT_EQ(parse_config(to_json(config)).layer_bits, config.layer_bits);

  EXPECT_EQ(parse_config(R"({"first_last_bits": 8})").first_last_bits, 8);
  EXPECT_ERROR(parse_config(R"({"first_last_bits": 1})"), "first_last_bits is 1, it must be 2 to 8");
  EXPECT_ERROR(parse_config(R"({"layer_bits": 4})"), "layer_bits must be an object of layer names");
  EXPECT_ERROR(parse_config(R"({"layer_bits": {"fc": 9}})"), "layer_bits of 'fc' is 9, it must be 2 to 8");
  EXPECT_ERROR(parse_config(R"({"layer_bits": {"fc": {"weight_bits": 0}}})"),
               "layer_bits of 'fc' is 0, it must be 2 to 8");
  EXPECT_ERROR(parse_config(R"({"layer_bits": {"fc": {}}})"), "layer_bits of 'fc' says nothing");
  EXPECT_ERROR(parse_config(R"({"layer_bits": {"fc": {"bits": 4}}})"),
               "has the key 'bits' ---> HINT known: weight_bits, activation_bits");
  EXPECT_ERROR(parse_config(R"({"layer_bits": {"": 4}})"), "an entry without a name");
}

TEST(LayerBits, StarsStandForAnyText) {
  EXPECT_TRUE(matches("fc", "fc"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*", "blocks.1.dw"));
  EXPECT_TRUE(matches("blocks.*.conv", "blocks.1.dw.conv"));
  EXPECT_TRUE(matches("*dw*dw*", "a.dw.b.dwx"));
  EXPECT_TRUE(matches("**a", "bbba"));
  EXPECT_FALSE(matches("fc", "fc2"));
  EXPECT_FALSE(matches("blocks.*.conv", "blocks.conv"));
  EXPECT_FALSE(matches("", "fc"));
  EXPECT_FALSE(matches("*a*b", "xbxa"));
  // Many stars against a long name stay cheap.
  std::string stars;
  for (int i = 0; i < 2000; ++i) stars += "a*";
  EXPECT_FALSE(matches(stars + "c", std::string(20000, 'a') + "b"));
}

TEST(QuantConfig, BatchNormAndDecay) {
  QuantConfig config;
  EXPECT_EQ(config.batch_norm, BatchNormMode::kept);
  EXPECT_EQ(config.pact_decay, std::nullopt);
  config = parse_config(R"({"batch_norm": "folded", "batch_norm_freeze_epoch": 2, "batch_norm_reestimate_batches": 30,
    "weight_preprocess_type": "PACT", "pact_decay": 0.01})");
  EXPECT_EQ(config.batch_norm, BatchNormMode::folded);
  EXPECT_EQ(config.batch_norm_freeze_epoch, 2);
  EXPECT_EQ(config.batch_norm_reestimate_batches, 30);
  EXPECT_EQ(config.pact_decay, 0.01);
  EXPECT_EQ(to_json(parse_config(to_json(config))), to_json(config));
  EXPECT_EQ(parse_config(R"({"pact_decay": null})").pact_decay, std::nullopt);
  EXPECT_ERROR(parse_config(R"({"batch_norm": "none"})"), "known: kept, folded");
  EXPECT_ERROR(parse_config(R"({"batch_norm_freeze_epoch": -2})"), "or -1 for none");
  EXPECT_ERROR(parse_config(R"({"batch_norm_reestimate_batches": -1})"), "must be 0 to 1000000");
  for (const char* other :
       {R"("batch_norm": "folded")", R"("batch_norm_freeze_epoch": 1)", R"("batch_norm_reestimate_batches": 9)"})
    EXPECT_ERROR(parse_config(fmt::format(R"({{"fuse_conv_bn": true, {}}})", other)),
                 "fuse_conv_bn leaves no batch norm to train");
  EXPECT_ERROR(parse_config(R"({"weight_preprocess_type": "PACT", "pact_decay": -1})"), "pact_decay is -1");
  EXPECT_ERROR(parse_config(R"({"pact_decay": 0.1})"), "and there are none ---> HINT set weight_preprocess_type");
}

TEST(QuantConfig, Oscillations) {
  const QuantConfig config = parse_config(
      R"({"oscillation_threshold": 0.02, "oscillation_threshold_end": 0.01, "oscillation_momentum": 0.03})");
  EXPECT_EQ(config.oscillation_threshold, 0.02);
  EXPECT_EQ(config.oscillation_threshold_end, 0.01);
  EXPECT_EQ(config.oscillation_momentum, 0.03);
  EXPECT_EQ(to_json(parse_config(to_json(config))), to_json(config));
  EXPECT_ERROR(parse_config(R"({"oscillation_threshold": 1})"),
               "oscillation_threshold is 1, it must be above 0 and below 1");
  EXPECT_ERROR(parse_config(R"({"oscillation_threshold": 0.1, "oscillation_threshold_end": 0})"),
               "oscillation_threshold_end is 0");
  EXPECT_ERROR(parse_config(R"({"oscillation_threshold_end": 0.1})"),
               "there is none ---> HINT set oscillation_threshold");
  EXPECT_ERROR(parse_config(R"({"oscillation_momentum": 0})"), "oscillation_momentum is 0");
}

TEST(QuantConfig, TermsOfTheLoss) {
  const QuantConfig config = parse_config(R"({"dampening": 0.02, "distill": 0.7, "distill_temperature": 3})");
  EXPECT_EQ(config.dampening, 0.02);
  EXPECT_EQ(config.distill, 0.7);
  EXPECT_EQ(config.distill_temperature, 3);
  EXPECT_EQ(to_json(parse_config(to_json(config))), to_json(config));
  EXPECT_ERROR(parse_config(R"({"dampening": -1})"), "dampening is -1, it must be 0 or more");
  EXPECT_ERROR(parse_config(R"({"distill": 1.5})"), "distill is 1.5, it must be 0 to 1");
  EXPECT_ERROR(parse_config(R"({"distill_temperature": 0})"), "distill_temperature is 0, it must be above 0");
}

TEST(QuantConfig, RefusesByName) {
  EXPECT_ERROR(parse_config(R"({"weight_bit": 8})"),
               "key 'weight_bit' is unknown ---> HINT did you mean 'weight_bits'?");
  EXPECT_ERROR(parse_config(R"({"weight_bits": "8"})"), "weight_bits must be a whole number, it is \"8\"");
  EXPECT_ERROR(parse_config(R"({"weight_bits": 8.5})"), "weight_bits must be a whole number");
  EXPECT_ERROR(parse_config(R"({"weight_bits": 1e300})"), "weight_bits must be a whole number");
  EXPECT_ERROR(parse_config(R"({"weight_bits": 99999999999999999999})"), "weight_bits must be a whole number");
  EXPECT_ERROR(parse_config(R"({"weight_bits": 1})"), "weight_bits is 1, it must be 2 to 8");
  EXPECT_ERROR(parse_config(R"({"activation_bits": 9})"), "activation_bits is 9");
  EXPECT_ERROR(parse_config(R"({"moving_rate": 1})"), "moving_rate is 1");
  EXPECT_ERROR(parse_config(R"({"moving_rate": true})"), "moving_rate must be a number");
  EXPECT_ERROR(parse_config(R"({"window_size": 0})"), "window_size is 0");
  EXPECT_ERROR(parse_config(R"({"dtype": "int4"})"), "dtype 'int4' is unknown");
  EXPECT_ERROR(parse_config(R"({"fuse_conv_bn": 1})"), "fuse_conv_bn must be true or false");
  EXPECT_ERROR(parse_config(R"({"equalize": "all"})"), "known: none, cross_layer, cross_layer_absorb");
  EXPECT_ERROR(parse_config(R"({"bias_correction": true})"), "bias_correction must be a string");
  EXPECT_ERROR(parse_config(R"({"scheme": "tflite"})"), "known: octet, paddle, tensorrt");
  EXPECT_ERROR(parse_config(R"({"weight_quantize_type": "range_abs_max"})"), "known: channel_wise_abs_max, abs_max");
  EXPECT_ERROR(parse_config(R"({"activation_preprocess_type": "pact"})"), "known: None, PACT");
  EXPECT_ERROR(parse_config(R"({"quantizable_layer_type": "Linear"})"), "quantizable_layer_type must be a list");
  EXPECT_ERROR(parse_config(R"({"quantizable_layer_type": []})"), "quantizable_layer_type is empty");
  EXPECT_ERROR(parse_config(R"({"quantizable_layer_type": ["Conv3D"]})"), "'Conv3D' is unknown");
  EXPECT_ERROR(parse_config(R"({"scheme": "paddle", "activation_quantize_type": "min_max"})"), "zero points");
  EXPECT_ERROR(parse_config(R"({"activation_quantize_type": "lsq", "activation_preprocess_type": "PACT"})"),
               "use one of the two");
  EXPECT_ERROR(parse_config(R"({"weight_quantize_type": "lsq", "weight_preprocess_type": "PACT"})"),
               "use one of the two");
  EXPECT_ERROR(parse_config(R"({"weight_quantize_type": "mse", "weight_preprocess_type": "PACT"})"),
               "mse chooses a threshold");
  EXPECT_ERROR(parse_config(R"({"activation_quantize_type": "kl", "activation_preprocess_type": "PACT"})"),
               "kl chooses a threshold");
  EXPECT_ERROR(parse_config(R"({"activation_quantize_type": "kl", "activation_affine": true})"), "two ends");
  EXPECT_ERROR(parse_config(R"({"scheme": "paddle", "activation_quantize_type": "lsq", "activation_affine": true})"),
               "zero points");
  EXPECT_ERROR(parse_config(R"({"scheme": "tensorrt", "activation_affine": true})"),
               "activation_affine has zero points");
  EXPECT_ERROR(parse_config(R"({"activation_percentile": 0})"), "activation_percentile is 0");
  EXPECT_ERROR(parse_config(R"({"weight_percentile": 50})"), "weight_percentile is 50");
  EXPECT_ERROR(parse_config(R"({"weight_percentile": 100.5})"), "weight_percentile is 100.5");
  EXPECT_ERROR(parse_config(R"({"ste": "none"})"), "known: scheme, masked, plain, ewgs");
  EXPECT_ERROR(parse_config(R"({"ewgs_delta": 2})"), "ewgs_delta is 2");
}

TEST(QuantConfig, RefusesWhatIsNoObject) {
  EXPECT_ERROR(parse_config(""), "no JSON");
  EXPECT_ERROR(parse_config("{"), "no JSON");
  EXPECT_ERROR(parse_config("[1]"), "a JSON object");
  EXPECT_ERROR(parse_config(std::string(100000, '[') + std::string(100000, ']')),
               "at most 65536 bytes and a few levels");
  EXPECT_ERROR(parse_config(std::string(1000, '[') + std::string(1000, ']')), "at most 65536 bytes and a few levels");
  EXPECT_ERROR(parse_config(R"({"weight_bits": )" + std::string(30, '[') + std::string(30, ']') + "}"), "it is array");
}

TEST(QuantConfig, ReadsAFileAndNamesItInErrors) {
  const octet::test::TempFolder folder;
  const std::string path = folder / "quant.json";
  std::ofstream(path) << R"({"weight_bits": 7})";
  EXPECT_EQ(read_config(path).weight_bits, 7);
  std::ofstream(path) << R"({"weight_bits": 70})";
  EXPECT_ERROR(read_config(path), "quant.json");
  EXPECT_ERROR(read_config(folder / "none.json"), "none.json");
}

}  // namespace
}  // namespace octet::quant
