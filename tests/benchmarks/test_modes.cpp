// What octet_bench makes of measured rows: shares of the peak, the table of the whole net, the plot, statistics, and
// the processes of --step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "benchmarks/int8_network.h"
#include "benchmarks/json_text.h"
#include "benchmarks/label_layout.h"
#include "benchmarks/network_table.h"
#include "benchmarks/roofline.h"
#include "benchmarks/statistics.h"
#include "benchmarks/worker.h"
#include "core/error.h"

namespace octet::bench {
namespace {

const Peaks kPeaks{100, 400, 10, "fma", "dot"};

/// The whole net's entries, each with a time that makes it reach `share` of the roof.
struct Rated {
  explicit Rated(double share, std::int64_t batch = 2) : suite(settings(batch)) {
    add_all(suite);
    for (const Entry& entry : suite.entries()) {
      if (!entry.chosen) continue;
      Result result;
      result.entry = &entry;
      result.seconds = least_seconds(entry.work, kPeaks) / share;
      result.bound = bound_of(entry.work, kPeaks);
      result.percent = 100 * share;
      results.push_back(result);
    }
  }
  static Settings settings(std::int64_t batch) {
    Settings settings;
    settings.batch = batch;
    return settings;
  }
  Suite suite;
  std::vector<Result> results;
};

const Share& share_of(const std::vector<Share>& shares, const std::string& pass, const std::string& dtypes) {
  const auto found =
      std::find_if(shares.begin(), shares.end(), [&](const Share& s) { return s.pass == pass && s.dtypes == dtypes; });
  if (found == shares.end()) throw std::runtime_error("no share of " + pass);
  return *found;
}

TEST(Shares, AreTheGeometricMeanOverTheNetsNineShapes) {
  Rated rated(0.5, 256);
  for (Result& result : rated.results) {
    const GroupParts parts = parts_of(result.entry->group);
    result.seconds = result.entry->work.ops / (0.5 * 100e9);  // half of the FMA peak, whatever bounds the work
    if (parts.pass == "conv2d_bwd_weight" && parts.shape == "pw3") result.seconds *= 5;
    if (parts.pass == "conv2d_bwd_data" && parts.shape == "pw5") result.error = "wrong";
  }
  const std::vector<Share> shares = pointwise_shares(rated.results, kPeaks, 256);
  const Share& forward = share_of(shares, "conv2d_fwd", "f32");
  EXPECT_EQ(forward.shapes, 9u);
  EXPECT_EQ(forward.of, 9u);
  EXPECT_NEAR(forward.geomean, 0.5, 1e-9);
  const Share& weight = share_of(shares, "conv2d_bwd_weight", "f32");
  EXPECT_NEAR(weight.geomean, 0.5 * std::pow(0.2, 1.0 / 9), 1e-9);
  EXPECT_NEAR(weight.lowest, 0.1, 1e-9);
  EXPECT_EQ(weight.lowest_shape, "pw3");
  EXPECT_EQ(share_of(shares, "conv2d_bwd_data", "f32").shapes, 8u) << "a row that failed has no share";
  EXPECT_NEAR(share_of(shares, "conv2d_fwd", "u8s8").geomean, 0.125, 1e-9) << "codes are held against the int8 peak";
}

double number(const Sheet& sheet, const Sheet::Line& line, const std::string& key) {
  for (std::size_t c = 0; c < sheet.columns.size(); ++c)
    if (sheet.columns[c].key == key) return std::get<double>(line.values.at(c).data);
  throw std::runtime_error("no column " + key);
}
std::string text(const Sheet::Line& line, std::size_t column) { return line.values.at(column).text; }

TEST(NetworkTable, HasEveryLayerAndItsSharesAddUp) {
  for (const Path path : {Path::fused, Path::decomposed}) {
    Rated rated(0.5);
    const std::vector<Part> parts = plan_network(rated.suite, path, {});
    const Sheet sheet = network_sheet(parts, rated.results, kPeaks, 2);
    double whole = 0;
    for (const Sheet::Section& section : sheet.sections) {
      double lines = 0, sum = 0;
      for (const Sheet::Line& line : section.lines) {
        EXPECT_NEAR(number(sheet, line, "percent_of_roofline"), 50, 1e-6) << section.title << " " << text(line, 1);
        (line.sum ? sum : lines) += line.sum && text(line, 1) != "sum" ? 0 : number(sheet, line, "share");
      }
      if (section.title == "forward" || section.title == "backward" || section.title == "update") whole += lines;
      if (sum > 0) {
        EXPECT_NEAR(lines, sum, 1e-9) << section.title;
      }
    }
    EXPECT_NEAR(whole, 1, 1e-9);
    std::vector<std::string> layers;
    for (const Sheet::Line& line : sheet.sections.at(0).lines) layers.push_back(text(line, 1));
    for (const char* layer : {"stem", "dw1", "pw7-11", "pw13", "fc", "all depthwise"})
      EXPECT_THAT(layers, testing::Contains(layer));
  }
}

TEST(NetworkTable, CountsEqualLayersAsOftenAsTheNetHasThem) {
  Rated rated(0.5);
  const std::vector<Part> parts = plan_network(rated.suite, Path::decomposed, {true, false, false});
  double macs = 0;
  for (const Part& part : parts)
    if (part.stage == Stage::forward) macs += part.times * part.entry->work.ops / 2;
  EXPECT_EQ(macs, forward_work(2).ops / 2);
  const Sheet sheet = network_sheet(parts, rated.results, kPeaks, 2);
  EXPECT_NEAR(number(sheet, sheet.sections.at(0).lines.back(), "ops"), forward_work(2).ops, 1) << "the sum";
  EXPECT_GT(macs / 2, 11.0e6);  // multiply-adds of a picture: 11.6 million with the taps outside it
  EXPECT_LT(macs / 2, 11.6e6);
}

TEST(NetworkTable, SaysWhichRowFailed) {
  Rated rated(0.5);
  const std::vector<Part> parts = plan_network(rated.suite, Path::fused, {true, false, false});
  for (Result& result : rated.results)
    if (result.entry == parts.front().entry) result.error = "operand 3 differs";
  const Sheet sheet = network_sheet(parts, rated.results, kPeaks, 2);
  const Sheet::Line& line = sheet.sections.at(0).lines.at(0);
  const auto has = [&](const std::string& wanted) {
    return std::any_of(line.values.begin(), line.values.end(), [&](const Value& v) { return v.text == wanted; });
  };
  EXPECT_TRUE(has("ERROR operand 3 differs"));
  EXPECT_EQ(line.values.size(), sheet.columns.size());
}

/// Two layers, the second twice in the net: 1 over 2 and 3 over 2, with pairs 1 over 2. Three rounds, of which one is
/// slow for both sides.
Int8Run two_layers() {
  const std::vector<double> one{1e-3, 5e-3, 1e-3}, two{2e-3, 10e-3, 2e-3}, three{3e-3, 15e-3, 3e-3};
  return {"batch",
          8,
          2,
          {{Kind::depthwise, "dw1", 1, 1e6, {"avx2", "", false, one}, {}, {"onednn", "", false, two}},
           {Kind::pointwise,
            "pw1",
            2,
            1e6,
            {"avx2", "", false, three},
            {"avx2pairs", "", false, one},
            {"onednn", "", false, two}}}};
}

double figure(const Sheet& sheet, const std::string& key) {
  for (const auto& [name, value] : sheet.figures)
    if (name == key) return std::get<double>(value.data);
  throw std::runtime_error("no figure " + key);
}

TEST(Int8Network, SumsCountEqualLayersAndTheWorstIsNamed) {
  const Sheet sheet = int8_network_sheet({two_layers()});
  ASSERT_EQ(sheet.sections.size(), 1u);
  const std::vector<Sheet::Line>& lines = sheet.sections[0].lines;
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_NEAR(number(sheet, lines[0], "ratio"), 0.5, 1e-9);
  EXPECT_NEAR(number(sheet, lines[0], "gops_per_second"), 1, 1e-9);
  EXPECT_NEAR(number(sheet, lines[1], "pairs_ratio"), 0.5, 1e-9);
  EXPECT_NEAR(number(sheet, lines[2], "seconds"), 7e-3, 1e-9);
  EXPECT_NEAR(number(sheet, lines[2], "onednn_seconds"), 6e-3, 1e-9);
  EXPECT_NEAR(figure(sheet, "batch_sum_ratio"), 7.0 / 6, 1e-9);
  EXPECT_NEAR(figure(sheet, "batch_least_ratio"), 7.0 / 6, 1e-9);
  EXPECT_NEAR(figure(sheet, "batch_pairs_ratio"), 3.0 / 6, 1e-9);
  EXPECT_NEAR(figure(sheet, "batch_worst_ratio"), 1.5, 1e-9);
  EXPECT_EQ(std::get<std::string>(sheet.figures.back().second.data), "pw1");
}

TEST(Int8Network, LayersWithoutOneDnnAreInNoSum) {
  Int8Run run = two_layers();
  run.layers[1].vendor = {"onednn", "operand 4 differs", true, {}};
  Sheet sheet = int8_network_sheet({run});
  EXPECT_NEAR(figure(sheet, "batch_sum_ratio"), 0.5, 1e-9);
  const Sheet::Line& line = sheet.sections[0].lines[1];
  EXPECT_EQ(text(line, sheet.columns.size() - 1), "onednn: operand 4 differs");
  EXPECT_EQ(failures_of({run}), 1u);
  run.layers[0].vendor = {"onednn", "refuses", false, {}};
  sheet = int8_network_sheet({run});
  EXPECT_TRUE(sheet.figures.empty());
  EXPECT_EQ(sheet.sections[0].lines.size(), 2u);
  EXPECT_EQ(failures_of({run}), 1u) << "a refusal is no failure";
}

TEST(Int8Network, EveryLayerIsCheckedAndTimed) {
  Settings settings = Rated::settings(2);
  settings.quick = true;
  const std::vector<Int8Run> runs = measure_int8_network(settings);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(failures_of(runs), 0u);
  for (const Int8Run& run : runs) {
    EXPECT_EQ(run.layers.size(), network().layers.size());
    for (const Int8Layer& layer : run.layers) {
      EXPECT_FALSE(layer.own.seconds.empty()) << layer.layer;
      EXPECT_NE(layer.own.row, "avx2pairs") << layer.layer;
      EXPECT_EQ(layer.own.row == "avx2" && layer.kind != Kind::depthwise, !layer.pairs.seconds.empty()) << layer.layer;
      EXPECT_EQ(layer.vendor.seconds.empty(), OCTET_WITH_ONEDNN == 0) << layer.layer << ": " << layer.vendor.error;
    }
  }
}

TEST(Operands, CodesMayDifferByOne) {
  Operands operands;
  auto* codes = static_cast<std::uint8_t*>(operands.output(3, DType::u8));
  auto* floats = static_cast<float*>(operands.output(1));
  const auto store = [=](int code, float value) {
    return [=] { codes[0] = 0, codes[1] = static_cast<std::uint8_t>(code), codes[2] = 255, *floats = value; };
  };
  operands.keep_reference(store(7, 100));
  EXPECT_EQ(operands.compare_codes(store(8, 100.0005f)), "");
  EXPECT_EQ(operands.compare_codes(store(6, 100)), "");
  EXPECT_THAT(operands.compare_codes(store(9, 100)), testing::HasSubstr("operand 0 at 1 of 3: 9 instead of 7"));
  EXPECT_THAT(operands.compare_codes(store(7, 100.01f)), testing::HasSubstr("operand 1"));
}

TEST(StepWork, IsThreePassesLessThePicturesGradient) {
  const Work step = step_work(256), forward = forward_work(256);
  EXPECT_NEAR(step.ops / 1e9, 17.6, 0.15);
  EXPECT_LT(step.ops, 3 * forward.ops);
  EXPECT_NEAR(step.bytes / 1e9, 0.72, 0.05);
}

TEST(Statistics, QuartilesLieBetweenNeighbours) {
  const Quartiles q = quartiles_of({4, 1, 3, 2, 5});
  EXPECT_EQ(q.low, 2);
  EXPECT_EQ(q.median, 3);
  EXPECT_EQ(q.high, 4);
  EXPECT_EQ(quartiles_of({1, 2}).median, 1.5);
  EXPECT_EQ(quartiles_of({}).median, 0);
}

TEST(LabelLayout, LabelsLieOverNothing) {
  const Box area{0, 0, 200, 200};
  LabelLayout layout(area);
  std::vector<Box> boxes;
  int left_out = 0;
  for (int i = 0; i < 200; ++i) {
    const std::optional<Box> box = layout.place(100 + i % 7, 100 + i % 5, 40, 11);
    box ? boxes.push_back(*box) : void(++left_out);
  }
  EXPECT_GT(boxes.size(), 10u);
  EXPECT_GT(left_out, 0) << "there is no room for all";
  for (std::size_t a = 0; a < boxes.size(); ++a) {
    EXPECT_TRUE(boxes[a].x >= 0 && boxes[a].x + 40 <= 200 && boxes[a].y >= 0 && boxes[a].y + 11 <= 200);
    for (std::size_t b = 0; b < a; ++b) EXPECT_FALSE(boxes[a].meets(boxes[b]));
  }
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

/// "" when tags nest and close, attributes are quoted, and no text holds a bare '<' or '&'.
std::string xml_fault(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = 0; at < xml.size();) {
    if (xml[at] == '&') {
      const std::string entity = xml.substr(at, xml.find(';', at) - at + 1);
      if (entity != "&lt;" && entity != "&gt;" && entity != "&amp;" && entity != "&quot;") return "bare & at " + entity;
    }
    if (xml[at] != '<') {
      ++at;
      continue;
    }
    const std::size_t end = xml.find('>', at);
    if (end == std::string::npos) return "a tag without end";
    const std::string tag = xml.substr(at + 1, end - at - 1), name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.empty() || tag.find('<') != std::string::npos || count(tag, "\"") % 2 != 0) return "tag " + tag;
    if (tag[0] == '/') {
      if (open.empty() || "/" + open.back() != tag) return "unexpected " + tag;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    at = end + 1;
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

TEST(Roofline, IsWellFormed) {
  EXPECT_NE(xml_fault("<a><b></a></b>"), "");
  EXPECT_NE(xml_fault("<a>x & y</a>"), "");
  EXPECT_EQ(xml_fault("<a b=\"c\"><d/>x &lt; y</a>\n"), "");
  Rated rated(0.5);
  EXPECT_EQ(xml_fault(roofline_svg(roofline_points(rated.results), kPeaks)), "") << "hundreds of points";
  EXPECT_EQ(xml_fault(roofline_svg({}, kPeaks)), "");
}

TEST(Roofline, DrawsEveryCaseOnceAndEscapes) {
  std::vector<RooflinePoint> points{{"pw1", "a<b & \"c\"", "conv2d", "f32", 20, 60, true},
                                    {"pw1 int8", "codes", "conv2d", "u8s8", 80, 300, false},
                                    {"relu", "bytes", "eltwise", "f32", 0, 8, true}};
  const std::string svg = roofline_svg(points, kPeaks);
  EXPECT_EQ(count(svg, "<title>"), 3u);
  EXPECT_THAT(svg, testing::HasSubstr("a&lt;b &amp; &quot;c&quot;"));
  EXPECT_THAT(svg, testing::HasSubstr(">pw1 int8</text>"));
  EXPECT_THAT(svg, testing::HasSubstr("memory: 10.0 GB/s"));
  EXPECT_THAT(svg, testing::HasSubstr("bytes only"));
  EXPECT_EQ(count(svg, "nan"), 0u);
  EXPECT_EQ(count(svg, "inf"), 0u);
  EXPECT_EQ(count(roofline_svg({}, kPeaks), "<title>"), 0u) << "an empty plot is a plot";
}

TEST(Roofline, CannotWriteIsAnError) { EXPECT_THROW(write_roofline({}, kPeaks, "/nowhere/at/all.svg"), Error); }

TEST(Csv, FieldsAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a, \"b\""), "\"a, \"\"b\"\"\"");
}

TEST(Worker, AnswersLineByLine) {
  Worker worker("cat", {"cat"});
  EXPECT_EQ(worker.ask(R"({"seconds": [1, 2]})", 10).at("seconds").size(), 2u);
  EXPECT_EQ(worker.ask(R"({"x": 3})", 10).at("x"), 3);
}

TEST(Worker, SkipsWhatIsNoAnswerAndSeesItsEnvironment) {
  Worker worker("shell", {"sh", "-c", "echo a remark; echo \"{\\\"isa\\\": \\\"$OCTET_ISA\\\"}\""}, {"OCTET_ISA=avx2"});
  EXPECT_EQ(worker.answer(10).at("isa"), "avx2");
}

TEST(Worker, SaysWhyItHasNoAnswer) {
  Worker ended("shell", {"sh", "-c", "echo no module named torch; exit 3"});
  try {
    ended.answer(10);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no module named torch"));
  }
  Worker silent("sleeper", {"sleep", "100"});
  EXPECT_THROW(silent.answer(0), Error);
  EXPECT_THROW(Worker("nobody", {"/no/such/program"}), Error);
}

}  // namespace
}  // namespace octet::bench
