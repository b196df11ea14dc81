#include "apps/mnv1_qat/report_page.h"

#include <algorithm>
#include <cmath>

#include "apps/chart/charts.h"
#include "apps/mnv1_qat/comparison.h"
#include "apps/mnv1_qat/page.h"

namespace octet::app {
namespace {

using chart::escaped;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMostExamples = 24;
constexpr int kGridLines = 64;  // grids of more codes are drawn by their ends alone

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

std::string megabytes(std::uint64_t bytes) {
  return bytes == 0 ? "" : fmt::format("{:.2f} MB", static_cast<double>(bytes) * 1e-6);
}

void add_accuracy(Page& page, const RunReport& run) {
  page.section("Accuracy and size");
  std::vector<std::vector<std::string>> rows;
  for (const Judgement* one : {&run.fp32, &run.int8})
    rows.push_back({escaped(one->name), percent(one->scores.top1()), percent(one->scores.top5()),
                    fmt::format("{:.4f}", one->scores.loss()), megabytes(one->bytes)});
  page.table({"", "top-1", "top-5", "loss", "file"}, rows);
  std::size_t differing = 0;
  for (std::size_t i = 0; i < run.fp32.classes.size(); ++i) differing += run.fp32.classes[i] != run.int8.classes[i];
  page.paragraph(fmt::format(
      "On {} test pictures of {}; {} of them ({}) are judged differently by the two.", run.test.size(), run.test.source,
      differing,
      percent(static_cast<double>(differing) / static_cast<double>(std::max<std::int64_t>(run.test.size(), 1)))));
}

void add_warnings(Page& page, const RunReport& run) {
  page.section("Warnings");
  if (run.analysis.warnings.empty())
    return page.paragraph("None: no dead channels, no collapsed or mostly unused range, nothing much clipped.");
  page.list(run.analysis.warnings);
}

/// The loss of a stage's steps, averaged over neighbours where there are many.
chart::Series loss_of(const std::vector<Json>& events, const std::string& stage) {
  constexpr std::size_t kPoints = 150;
  std::vector<chart::Point> all;
  for (const Json& event : events)
    if (event.value("event", "") == "step" && event["stage"] == stage && event.contains("loss") &&
        event["loss"].is_number())
      all.push_back({event.value("step", 0.0), event["loss"].get<double>()});
  const std::size_t group = all.size() / kPoints + 1;
  chart::Series series{stage, {}};
  for (std::size_t i = 0; i < all.size(); i += group) {
    const std::size_t count = std::min(group, all.size() - i);
    double sum = 0;
    for (std::size_t k = 0; k < count; ++k) sum += all[i + k].y;
    series.points.push_back({all[i + count - 1].x, sum / static_cast<double>(count)});
  }
  return series;
}

void add_training(Page& page, const RunReport& run) {
  std::vector<std::string> drawings;
  for (const auto& [stage, title] :
       {std::pair{"pretrain", "Pre-training"}, std::pair{"qat", "Fine-tuning with quantizers"}}) {
    chart::LineChart chart;
    chart.title = title, chart.x_name = "step", chart.y_name = "loss", chart.width = 520, chart.height = 280;
    chart.series = {loss_of(run.events, stage)};
    if (!chart.series[0].points.empty()) drawings.push_back(draw(chart).inline_text());
  }
  if (drawings.empty()) return;
  page.section("Training");
  page.row(drawings);
}

using TraceValue = double (*)(const quant::LayerTrace&);

/// A line for each of the layers whose last value is largest.
chart::LineChart traced(const RunReport& run, const std::string& title, TraceValue value_of, bool against_first) {
  constexpr std::size_t kMostLines = 5;
  std::vector<chart::Series> all;
  for (std::size_t i = 0; i < run.trace.back().layers.size(); ++i) {
    chart::Series series{run.trace.back().layers[i].layer, {}};
    for (const TraceLine& line : run.trace) {
      if (i >= line.layers.size()) continue;
      const double first = against_first ? value_of(run.trace.front().layers[i]) : 1;
      series.points.push_back({static_cast<double>(line.step), value_of(line.layers[i]) / (first > 0 ? first : 1)});
    }
    if (!series.points.empty()) all.push_back(std::move(series));
  }
  std::stable_sort(all.begin(), all.end(), [](const chart::Series& a, const chart::Series& b) {
    return a.points.back().y > b.points.back().y;
  });
  if (all.size() > kMostLines) all.resize(kMostLines);
  chart::LineChart chart;
  chart.title = title, chart.x_name = "step", chart.series = std::move(all), chart.width = 620, chart.height = 300;
  chart.percent = !against_first;
  return chart;
}

void add_trace(Page& page, const RunReport& run) {
  if (run.trace.empty() || run.trace.front().layers.size() != run.trace.back().layers.size()) return;
  page.section("Quantizers during fine-tuning");
  page.paragraph(
      "The five layers with the largest last value. A code flips when a weight crosses the middle between two; a "
      "weight oscillates when its flips "
      "keep changing direction: it sits on such a middle, and its last code is chance.");
  page.row({draw(traced(
                     run, "Codes that flip in a step", [](const quant::LayerTrace& l) { return l.flips; }, false))
                .inline_text(),
            draw(traced(
                     run, "Oscillating weights", [](const quant::LayerTrace& l) { return l.oscillating; }, false))
                .inline_text()});
  const bool freezes = std::any_of(run.trace.back().layers.begin(), run.trace.back().layers.end(),
                                   [](const quant::LayerTrace& l) { return l.frozen > 0; });
  if (freezes)
    page.row(
        {draw(traced(
                  run, "Weights frozen for oscillating", [](const quant::LayerTrace& l) { return l.frozen; }, false))
             .inline_text()});
  page.row({draw(traced(
                     run, "Step of the weights, against the first",
                     [](const quant::LayerTrace& l) { return l.weight_step; }, true))
                .inline_text(),
            draw(traced(
                     run, "Step of the values, against the first",
                     [](const quant::LayerTrace& l) { return l.value_step.value_or(0); }, true))
                .inline_text()});
}

std::string histogram_of(const std::string& title, const quant::GridUse& use) {
  chart::Histogram chart;
  chart.title = title, chart.x_name = "codes", chart.log_counts = true, chart.width = 480, chart.height = 170;
  chart.counts = use.histogram, chart.low = use.first_bin;
  chart.high = use.first_bin + use.bin_width * static_cast<double>(use.histogram.size());
  if (use.codes <= kGridLines)
    for (int q = use.grid.lo; q <= use.grid.hi; ++q) chart.grid.push_back(q);
  chart.limits = {use.grid.lo - 0.5, use.grid.hi + 0.5};
  return draw(chart).inline_text();
}

std::string unused(const quant::GridUse& use) { return fmt::format("{} / {}", use.unused, use.codes); }

/// A layer as a line of the table.
std::vector<std::string> row_of(const quant::LayerAnalysis& layer) {
  std::vector<std::string> row{escaped(layer.layer), layer.op};
  if (layer.weight)
    row.insert(row.end(), {decibel_text(layer.weight->sqnr_db), percent(layer.weight->clipped), unused(*layer.weight)});
  else
    row.insert(row.end(), {"", "", ""});
  if (layer.value)
    row.insert(row.end(), {fmt::format("{:.4g}", layer.value->grid.step()), decibel_text(layer.value->sqnr_db),
                           percent(layer.value->clipped), fmt::format("{:.0f} %", 100 * layer.value->zeros),
                           unused(*layer.value)});
  else
    row.insert(row.end(), {"", "", "", "", ""});
  row.push_back(layer.accumulator ? fmt::format("{} / {}", layer.accumulator->seen_bits(), layer.accumulator->bits())
                                  : "");
  row.push_back(decibel_text(layer.error_db));
  return row;
}

chart::LineChart errors_of(const quant::Analysis& analysis) {
  chart::LineChart errors;
  errors.title = "Errors add up on the way", errors.x_name = "layer", errors.y_name = "SQNR, dB", errors.width = 900,
  errors.height = 300;
  errors.series = {{"weights", {}}, {"values, this rounding", {}}, {"values, all so far", {}}};
  double x = 0;
  for (const quant::LayerAnalysis& layer : analysis.layers) {
    if (layer.weight) errors.series[0].points.push_back({x, layer.weight->sqnr_db});
    if (layer.value) errors.series[1].points.push_back({x, layer.value->sqnr_db});
    errors.series[2].points.push_back({x, layer.error_db});
    ++x;
  }
  return errors;
}

void add_histograms(Page& page, const quant::Analysis& analysis) {
  for (const quant::LayerAnalysis& layer : analysis.layers) {
    std::string html = "<div class=\"row\">";
    if (layer.weight) html += "<div>" + histogram_of(layer.layer + ": weights", *layer.weight) + "</div>";
    if (layer.value) html += "<div>" + histogram_of(layer.layer + ": values", *layer.value) + "</div>";
    page.fold(fmt::format("{} ({}): histograms", layer.layer, layer.op), html + "</div>");
  }
  page.paragraph(
      "Histograms count in codes (value / step + zero point), on a logarithmic scale; dashed lines are the ends of the "
      "grid, thin ones its codes "
      "where they are few. A layer's channels have steps of their own and share one histogram.");
}

void add_layers(Page& page, const RunReport& run) {
  page.section("Layer by layer");
  if (run.config.adaround_steps > 0)
    page.paragraph(
        "AdaRound has left rounded weights in the place of the float ones: the weights' SQNR and the fp32 row are of "
        "those, not of the net that was calibrated.");
  page.paragraph(
      "SQNR in dB: of the weights on their grid, of what the layer makes on the grid of its reader, and of what it "
      "makes in the quantized net "
      "against the float net (all errors up to there). Six dB are about a bit.");
  page.drawing(draw(errors_of(run.analysis)));
  std::vector<std::vector<std::string>> rows;
  for (const quant::LayerAnalysis& layer : run.analysis.layers) rows.push_back(row_of(layer));
  page.table({"layer", "op", "weights: SQNR", "clipped", "unused codes", "value: step", "SQNR", "clipped", "zeros",
              "unused codes", "sum bits", "error so far"},
             rows);
  page.paragraph(run.analysis.sixteen_bits + " Octet's have 32.");
  add_histograms(page, run.analysis);
}

void add_confusion(Page& page, const RunReport& run) {
  page.section("Confusions of the integer net");
  const std::size_t classes = run.test.class_names.size();
  if (classes > 30) return page.paragraph(fmt::format("{} classes are too many for a table.", classes));
  std::vector<std::vector<int>> counts(classes, std::vector<int>(classes));
  for (std::size_t i = 0; i < run.int8.classes.size(); ++i)
    ++counts[static_cast<std::size_t>(run.test.labels.data<std::int32_t>()[i])]
            [static_cast<std::size_t>(run.int8.classes[i])];
  std::vector<std::string> head{"is \\ judged"};
  for (const std::string& name : run.test.class_names) head.push_back(escaped(name));
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < classes; ++i) {
    rows.push_back({escaped(run.test.class_names[i])});
    int sum = 0;
    for (const int count : counts[i]) sum += count;
    for (std::size_t j = 0; j < classes; ++j) {
      const double share = sum == 0 ? 0 : static_cast<double>(counts[i][j]) / sum;
      rows.back().push_back(fmt::format(
          "<span style=\"display:block;margin:-.25em -.7em;padding:.25em .7em;background:rgba({},{:.2f})\">{}</span>",
          i == j ? "60,150,90" : "210,90,50", std::min(share * 0.9, 0.9), counts[i][j]));
    }
  }
  page.table(head, rows);
}

void add_examples(Page& page, const RunReport& run) {
  std::vector<std::string> figures;
  for (std::size_t i = 0; i < run.fp32.classes.size() && figures.size() < kMostExamples; ++i) {
    if (run.fp32.classes[i] == run.int8.classes[i]) continue;
    const auto at = static_cast<std::int64_t>(i);
    const auto name = [&](std::int64_t c) { return run.test.class_names[static_cast<std::size_t>(c)]; };
    const std::string words = fmt::format("{}: fp32 {}, int8 {}", name(run.test.labels.data<std::int32_t>()[i]),
                                          name(run.fp32.classes[i]), name(run.int8.classes[i]));
    const Tensor picture = run.test.pictures.slice(at, at + 1).reshape({data::kSide, data::kSide, data::kChannels});
    figures.push_back(fmt::format("<figure>{}<figcaption>is {}<br>fp32 {}<br>int8 {}</figcaption></figure>",
                                  picture_html(picture, 3, words),
                                  escaped(name(run.test.labels.data<std::int32_t>()[i])),
                                  escaped(name(run.fp32.classes[i])), escaped(name(run.int8.classes[i]))));
  }
  page.section("Pictures that fp32 and int8 judge differently");
  if (figures.empty()) return page.paragraph("None.");
  std::string html = "<div class=\"row small\">\n";
  for (const std::string& figure : figures) html += figure + "\n";
  page.html(html + "</div>\n");
}

}  // namespace

std::string report_page(const RunReport& run) {
  const quant::QuantConfig& c = run.config;
  Page page("Quantization report",
            fmt::format("{}: {}, width {:g}, {} pictures; scheme {}, weights {} bits {}, activations {} bits {}",
                        run.dir, run.notes.net, run.notes.scale, run.notes.data, quant::name_of(c.scheme),
                        c.weight_bits, quant::name_of(c.weight_quantize_type), c.activation_bits,
                        quant::name_of(c.activation_quantize_type)));
  add_accuracy(page, run);
  add_warnings(page, run);
  add_training(page, run);
  add_trace(page, run);
  add_layers(page, run);
  add_confusion(page, run);
  add_examples(page, run);
  return page.str();
}

}  // namespace octet::app
