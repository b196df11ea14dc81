// The commands that look inside: sensitivity, inspect, report.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/mosaic.h"
#include "apps/mnv1_qat/page.h"
#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;

namespace {

class Laboratory : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    const Ended ended = mnv1_qat(Words{"run", "--quiet"} + small_run(file("run")));
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string file(const std::string& name) { return *folder_ / name; }
  static std::string model(const std::string& kind) { return file("run/" + kind + ".safetensors"); }
  static inline TempFolder* folder_ = nullptr;
};

/// A page that needs nothing else: no script, nothing fetched.
void expect_self_contained(const std::string& html) {
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  EXPECT_NE(html.find("prefers-color-scheme:dark"), std::string::npos);
  for (const char* foreign : {"<script", "<link", "src=\"http", "href=\"http", "url("})
    EXPECT_EQ(html.find(foreign), std::string::npos) << foreign;
}

TEST_F(Laboratory, SensitivityOfATrainedAndOfAFloatModel) {
  const Ended qat = mnv1_qat(Words{"sensitivity", model("qat"), "--json", "--plot", file("s.svg")} + small_data());
  ASSERT_EQ(qat.code, 0) << qat.err;
  const Json j = Json::parse(qat.out);
  ASSERT_EQ(j["layers"].size(), 29u) << "28 layers and the pool";
  for (std::size_t i = 1; i < j["layers"].size(); ++i)
    EXPECT_GE(j["layers"][i - 1]["alone"]["loss"].get<double>(), j["layers"][i]["alone"]["loss"].get<double>())
        << "sorted";
  EXPECT_NE(bytes_of(file("s.svg")).find("blocks.3.pw.conv"), std::string::npos);

  const Ended fp32 = mnv1_qat(
      Words{"sensitivity", model("fp32"), "--weight-bits", "2", "--calibrate", "32", "--quiet"} + small_data());
  ASSERT_EQ(fp32.code, 0) << fp32.err;
  EXPECT_NE(fp32.out.find("all but it"), std::string::npos);
  expect_refused(mnv1_qat(Words{"sensitivity", model("qat"), "--weight-bits", "4"} + small_data()), 1,
                 {"has quantizers of its own", "HINT"});
  expect_refused(mnv1_qat(Words{"sensitivity", model("int8")} + small_data()), 1, {"kind 'int8'"});
}

TEST_F(Laboratory, SensitivityChoosesBitsUnderABudget) {
  const Words budget = Words{"sensitivity", model("fp32"), "--candidates", "2,4,8", "--calibrate", "16"} + small_data();
  const Ended ended = mnv1_qat(budget + Words{"--budget", "0.125", "--json", "-o", file("bits.json")});
  ASSERT_EQ(ended.code, 0) << ended.err;
  const Json j = Json::parse(ended.out);
  ASSERT_EQ(j["layers"].size(), 28u);
  EXPECT_LE(j["share"].get<double>(), 0.125);
  EXPECT_EQ(j["uniform"]["share"], 0.125) << "four bits fit exactly";
  EXPECT_LE(j["divergence"].get<double>(), j["uniform"]["divergence"].get<double>()) << "never worse than these";
  double sum = 0;
  for (const Json& layer : j["layers"])
    sum += layer["divergence"][std::to_string(layer["bits"].get<int>())].get<double>();
  EXPECT_NEAR(sum, j["divergence"].get<double>(), 1e-9);
  // The file is a configuration that ptq takes; what was chosen is what it does.
  const Words bits{"--quant-config", file("bits.json"), "--calibrate", "16", "--quiet"};
  ASSERT_EQ(mnv1_qat(Words{"ptq", model("fp32"), "--out", file("bits")} + bits + small_data()).code, 0);
  EXPECT_NE(bytes_of(file("bits/ptq.safetensors")).find("layer_bits"), std::string::npos);
  const Ended text = mnv1_qat(budget + Words{"--budget", "0.1", "--quiet"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("the same bits for all"), std::string::npos);

  const Ended unwritten = mnv1_qat(budget + Words{"--budget", "0.1", "--quiet", "-o", file("no/such/bits.json")});
  EXPECT_EQ(unwritten.code, 1);
  EXPECT_NE(unwritten.out.find("these bits"), std::string::npos) << "what was measured is not lost";
  expect_refused(mnv1_qat(budget + Words{"--budget", "0.05"}), 1, {"at least 0.0625 of the fp32 size", "HINT"});
  expect_refused(mnv1_qat(budget + Words{"--budget", "2"}), 2, {"--budget", "0.01 to 1"});
  expect_refused(mnv1_qat({"sensitivity", model("fp32"), "-o", file("x.json")}), 2, {"--out requires --budget"});
  expect_refused(mnv1_qat({"sensitivity", model("fp32"), "--candidates", "2,3"}), 2,
                 {"--candidates requires --budget"});
  expect_refused(mnv1_qat({"sensitivity", model("fp32"), "--budget", "0.1", "--candidates", "1"}), 2, {"--candidates"});
  expect_refused(mnv1_qat({"sensitivity", model("fp32"), "--budget", "0.1", "--candidates", "4,8,4"}), 2,
                 {"--candidates has 4 twice"});
  expect_refused(mnv1_qat({"sensitivity", model("fp32"), "--budget", "0.1", "--plot", file("x.svg")}), 2,
                 {"--plot excludes --budget"});
}

TEST_F(Laboratory, InspectShowsAPictureInTextAndOnAPage) {
  const Ended all = mnv1_qat(Words{"inspect", model("qat"), "--index", "2", "-o", file("i.html")} + small_data());
  ASSERT_EQ(all.code, 0) << all.err;
  for (const char* part :
       {"as floats: ", "as integers: ", "conv1.conv", "blocks.12.pw.conv", "SQNR", "sums", "Accumulators of 16 bits"})
    EXPECT_NE(all.out.find(part), std::string::npos) << part;
  const std::string page = bytes_of(file("i.html"));
  expect_self_contained(page);
  EXPECT_NE(page.find("data:image/png;base64,iVBOR"), std::string::npos);

  const Ended one = mnv1_qat(Words{"inspect", model("qat"), "--index", "2", "--layer", "blocks.1.*"} + small_data());
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_NE(one.out.find("blocks.1.dw.conv, channel "), std::string::npos);
  EXPECT_EQ(one.out.find("blocks.2"), std::string::npos);
  const Ended json = mnv1_qat(Words{"inspect", model("qat"), "--index", "2", "--json"} + small_data());
  const Json values = Json::parse(json.out)["values"];
  EXPECT_EQ(values.size(), 29u);
  for (const Json& value : values) {
    if (!value.contains("accumulator")) continue;
    const Json &seen = value["accumulator"]["seen"], &possible = value["accumulator"]["possible"];
    EXPECT_LE(possible[0], seen[0]);
    EXPECT_LE(seen[0], seen[1]);
    EXPECT_LE(seen[1], possible[1]);
    EXPECT_LE(value["accumulator"]["bits_seen"], value["accumulator"]["bits"]);
  }
  EXPECT_EQ(
      std::count_if(values.begin(), values.end(), [](const Json& value) { return value.contains("accumulator"); }), 27);

  expect_refused(mnv1_qat(Words{"inspect", model("qat"), "--index", "2", "--layer", "conv9"} + small_data()), 1,
                 {"no value is named 'conv9'", "known: "});
  expect_refused(mnv1_qat(Words{"inspect", model("fp32"), "--index", "2"} + small_data()), 1,
                 {"has no quantizers", "HINT"});
  expect_refused(mnv1_qat(Words{"inspect", model("qat"), "--index", "100000"} + small_data()), 1,
                 {"picture 100000 of a test set"});
  expect_refused(mnv1_qat({"inspect", model("qat")}), 2, {"--picture or --index"});
  expect_refused(mnv1_qat({"inspect", model("qat"), "--picture", file("none.png")}), 1, {"none.png"});
}

TEST_F(Laboratory, ReportIsOnePage) {
  const Ended ended = mnv1_qat(Words{"report", file("run"), "-o", file("report.html"), "--json"} + small_data());
  ASSERT_EQ(ended.code, 0) << ended.err;
  const std::string page = bytes_of(file("report.html"));
  expect_self_contained(page);
  for (const char* part : {"Accuracy and size", "Warnings", "Layer by layer", "Confusions of the integer net",
                           "judge differently", "blocks.12.pw.conv: values", "int8 engine"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  // Warnings of the JSON stand on the page.
  ASSERT_GE(Json::parse(ended.out)["warnings"].size(), 1u);
  for (const Json& warning : Json::parse(ended.out)["warnings"])
    EXPECT_NE(page.find(chart::escaped(warning.get<std::string>())), std::string::npos);
  EXPECT_NE(page.find(Json::parse(ended.out)["sixteen_bits"].get<std::string>()), std::string::npos);
  EXPECT_NE(page.find("<th>sum bits</th>"), std::string::npos);
}

TEST_F(Laboratory, TheTraceOfAFineTuningIsWrittenResumedAndDrawn) {
  const Words traced{"--trace-quant", file("trace"), "--trace-every", "3"};
  ASSERT_EQ(mnv1_qat(Words{"run", "--quiet"} + small_run(file("traced")) + traced).code, 0);
  const std::string lines = bytes_of(file("trace/quant_trace.jsonl"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2) << "steps 3 and 6 of 8";
  const Json first = Json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first["step"], 3);
  ASSERT_EQ(first["layers"].size(), 28u);
  for (const Json& layer : first["layers"])
    for (const char* key :
         {"layer", "weight_step", "weight_clipped", "flips", "oscillating", "value_step", "value_clipped"})
      EXPECT_TRUE(layer.contains(key)) << key;
  EXPECT_EQ(bytes_of(file("traced/qat.safetensors")), bytes_of(model("qat"))) << "a trace disturbs nothing";
  const Ended report = mnv1_qat(
      Words{"report", file("traced"), "--trace", file("trace"), "-o", file("t.html"), "--quiet"} + small_data());
  ASSERT_EQ(report.code, 0) << report.err;
  EXPECT_NE(bytes_of(file("t.html")).find("Codes that flip in a step"), std::string::npos);
  expect_refused(
      mnv1_qat(Words{"run", "--quiet", "--trace-quant", file("traced/qat.safetensors/x")} + small_run(file("other"))),
      1, {"cannot make the folder"});
}

TEST_F(Laboratory, ReportOfACalibration) {
  ASSERT_EQ(mnv1_qat(Words{"ptq", model("fp32"), "--out", file("ptq"), "--quiet"} + small_data()).code, 0);
  const Ended ended = mnv1_qat(Words{"report", file("ptq"), "-o", file("ptq.html"), "--quiet"} + small_data());
  ASSERT_EQ(ended.code, 0) << ended.err;
  EXPECT_NE(bytes_of(file("ptq.html")).find("quantizers off"), std::string::npos);
}

TEST_F(Laboratory, ReportSaysWhatIsMissing) {
  expect_refused(mnv1_qat(Words{"report", file("nowhere"), "-o", file("x.html")} + small_data()), 1,
                 {"neither qat.safetensors nor ptq.safetensors", "HINT"});
  expect_refused(mnv1_qat({"report", file("run")}), 2, {"--page is required"});
  expect_refused(mnv1_qat(Words{"report", file("run"), "-o", file("no/such/folder/x.html")} + small_data()), 1,
                 {"no/such/folder"});
}

/// A folder's files are of one net, or the page says nothing false.
TEST_F(Laboratory, ReportTellsFilesOfOtherNetsApart) {
  const std::string mixed = file("mixed");
  std::filesystem::copy(file("run"), mixed);
  const Words report = Words{"report", mixed, "-o", file("mixed.html"), "--quiet"} + small_data();
  const Words other =
      Words{"--limit-train", "64", "--scale", "0.25", "--batch-size", "32", "--epochs", "1"} + small_data();
  ASSERT_EQ(mnv1_qat(Words{"pretrain", "--out", file("other"), "--quiet"} + other).code, 0);
  std::filesystem::copy(file("other/fp32.safetensors"), mixed + "/fp32.safetensors",
                        std::filesystem::copy_options::overwrite_existing);
  ASSERT_EQ(mnv1_qat(report).code, 0);
  EXPECT_NE(bytes_of(file("mixed.html")).find("quantizers off"), std::string::npos) << "the float net is another's";

  ASSERT_EQ(
      mnv1_qat(Words{"ptq", file("other/fp32.safetensors"), "--out", file("calibrated"), "--quiet"} + small_data())
          .code,
      0);
  std::filesystem::copy(file("calibrated/int8.safetensors"), mixed + "/int8.safetensors",
                        std::filesystem::copy_options::overwrite_existing);
  expect_refused(mnv1_qat(report), 1, {"int8.safetensors' was not made from", "HINT mnv1_qat export"});
  std::filesystem::remove(mixed + "/int8.safetensors");
  expect_refused(mnv1_qat(report), 1, {"int8.safetensors' is missing", "HINT mnv1_qat export"});
  ASSERT_EQ(mnv1_qat({"export", mixed + "/qat.safetensors", "--out", mixed + "/int8.safetensors"}).code, 0);
  EXPECT_EQ(mnv1_qat(report).code, 0) << "what the hint says";
}

TEST_F(Laboratory, ATraceIsOfThisFineTuning) {
  const std::string out = file("traced_here");
  ASSERT_EQ(mnv1_qat(Words{"run", "--quiet", "--trace-quant", out, "--trace-every", "3"} + small_run(out)).code, 0);
  EXPECT_TRUE(std::filesystem::exists(out + "/quant_trace.jsonl"));
  const Words report = Words{"report", out, "-o", file("h.html"), "--quiet"} + small_data();
  expect_refused(mnv1_qat(report + Words{"--trace", file("run")}), 1, {"holds no quant_trace.jsonl", "HINT"});
  ASSERT_EQ(mnv1_qat(Words{"run", "--quiet"} + small_run(out)).code, 0);
  EXPECT_FALSE(std::filesystem::exists(out + "/quant_trace.jsonl")) << "it was another's";
  EXPECT_EQ(mnv1_qat(report).code, 0);
}

TEST(Mosaic, PutsChannelsSideBySide) {
  Tensor value = Tensor::zeros(Shape{1, 2, 2, 3});  // channel 1 is the strongest, then 2
  value.data<float>()[1] = 4, value.data<float>()[5] = -2;
  const auto channels = app::strongest_channels(value, 2);
  EXPECT_EQ(channels, (std::vector<std::int64_t>{1, 2}));
  const Tensor picture = app::mosaic(value, channels, 4, 4);
  ASSERT_EQ(picture.shape(), (Shape{4, 7, 3}));
  const auto at = [&](std::int64_t y, std::int64_t x, std::int64_t k) {
    return picture.data<std::uint8_t>()[(y * 7 + x) * 3 + k];
  };
  EXPECT_EQ(at(0, 0, 0), 128) << "frame";
  EXPECT_GT(at(1, 1, 0), 200) << "the top is bright and warm";
  EXPECT_GT(at(1, 5, 2), at(1, 5, 0)) << "below zero is blue";
  EXPECT_LT(at(2, 1, 0), 30) << "zero is dark";
}

TEST(Page, EscapesTextAndEmbedsPictures) {
  app::Page page("a < b", "c & d");
  page.list({"<script>"});
  const std::string html = page.str();
  EXPECT_NE(html.find("<title>a &lt; b</title>"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
  Tensor picture(Shape{1, 1, 3}, DType::u8);
  EXPECT_NE(app::picture_html(picture, 3, "\"x\"").find("width=\"3\" height=\"3\" alt=\"&quot;x&quot;\""),
            std::string::npos);
}

}  // namespace
