// inspect: one picture's way through the net, floats beside codes.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/comparison.h"
#include "apps/mnv1_qat/guesses.h"
#include "apps/mnv1_qat/load_data.h"
#include "apps/mnv1_qat/model_file.h"
#include "apps/mnv1_qat/mosaic.h"
#include "apps/mnv1_qat/page.h"
#include "apps/mnv1_qat/pictures.h"
#include "core/file.h"
#include "data/transform.h"
#include "quant/analysis/accumulators.h"
#include "quant/analysis/grid_use.h"
#include "quant/analysis/run_both.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/simulator.h"
#include "quant/layer_bits.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWhere = "inspect";
constexpr std::int64_t kChannels = 16, kAcross = 4, kLargestMap = 16;

/// One value on its way: what the float net makes, and what the integers make of it.
struct Stop {
  std::string name, op;
  QuantParams grid;
  Tensor floats;  ///< f32 1,H,W,C
  Tensor codes;   ///< u8 or s8, the simulator's
  Tensor back;    ///< the codes as f32
  quant::GridUse use;
  double error_db = 0;
  std::optional<quant::AccumulatorUse> accumulator;  ///< of a layer with weights
};

Tensor dequantized(const Tensor& codes, const QuantParams& grid) {
  Tensor floats(codes.shape());
  for (std::int64_t i = 0; i < codes.numel(); ++i)
    floats.data<float>()[i] = grid.dequantize(static_cast<std::int32_t>(codes.at(i)));
  return floats;
}

std::vector<Stop> stops_of(const quant::BothRuns& both, const NamedTensors& simulated,
                           const std::vector<quant::AccumulatorUse>& accumulators) {
  std::vector<Stop> stops;
  for (const quant::ValuePair& value : both.values) {
    const auto codes = std::find_if(simulated.begin(), simulated.end(),
                                    [&](const auto& entry) { return entry.first == value.node->name; });
    OCTET_CHECK(codes != simulated.end(), kWhere, "the simulator has no value '{}'", value.node->name);
    Stop stop{value.node->name,
              engine::name_of(value.node->op),
              value.node->type.grid,
              value.floats.reshape(codes->second.shape()),
              codes->second,
              {},
              quant::use_of_grid(value.quantized, value.node->type.grid),
              0,
              {}};
    for (const quant::AccumulatorUse& use : accumulators)
      if (use.layer == stop.name) stop.accumulator = use;
    stop.back = dequantized(stop.codes, stop.grid);
    stop.error_db = quant::sqnr_db(stop.floats, stop.back);
    stops.push_back(std::move(stop));
  }
  return stops;
}

std::pair<double, double> range_of(const Tensor& values) {
  const auto [low, high] = std::minmax_element(values.data<float>(), values.data<float>() + values.numel());
  return {*low, *high};
}

std::string shape_of(const Stop& stop) {
  return fmt::format("{}x{}x{}", stop.codes.shape()[1], stop.codes.shape()[2], stop.codes.shape()[3]);
}

/// What a layer's accumulator held.
std::string sums_of(const Stop& stop) {
  if (!stop.accumulator) return "";
  return fmt::format("{} to {}", stop.accumulator->seen_least, stop.accumulator->seen_greatest);
}

std::string text_of(const std::vector<Stop>& stops) {
  constexpr const char* kRow = "  {:24} {:9} {:>11} {:>20} {:>11} {:>11} {:>8} {:>9} {:>18} {:>9}\n";
  std::string text =
      fmt::format(kRow, "value", "made by", "shape", "floats", "step", "codes", "zeros", "clipped", "sums", "SQNR, dB");
  for (const Stop& stop : stops) {
    const auto [low, high] = range_of(stop.floats);
    const auto [least, most] = range_of(stop.codes.to(DType::f32));
    text += fmt::format(kRow, stop.name, stop.op, shape_of(stop), fmt::format("{:.4g} to {:.4g}", low, high),
                        fmt::format("{:.4g}", stop.grid.step()), fmt::format("{:.0f} to {:.0f}", least, most),
                        fmt::format("{:.0f} %", 100 * stop.use.zeros), fmt::format("{:.2f} %", 100 * stop.use.clipped),
                        sums_of(stop), decibel_text(stop.error_db));
  }
  return text;
}

/// The strongest channel of a value in numbers, floats above codes.
std::string numbers_of(const Stop& stop) {
  const std::int64_t h = stop.codes.shape()[1], w = stop.codes.shape()[2], channels = stop.codes.shape()[3];
  const std::int64_t c = strongest_channels(stop.floats, 1)[0], rows = std::min(h, kLargestMap),
                     columns = std::min(w, kLargestMap);
  std::string floats, codes;
  for (std::int64_t y = 0; y < rows; ++y) {
    for (std::int64_t x = 0; x < columns; ++x) {
      const std::int64_t at = (y * w + x) * channels + c;
      floats += fmt::format("{:>8.3f}", stop.floats.data<float>()[at]),
          codes += fmt::format("{:>5.0f}", stop.codes.at(at));
    }
    floats += "\n", codes += "\n";
  }
  const std::string part = rows < h || columns < w ? fmt::format(", its upper left {}x{}", rows, columns) : "";
  return fmt::format("\n{}, channel {}{}: floats\n{}codes of step {:.6g}, zero point {}\n{}", stop.name, c, part,
                     floats, stop.grid.step(), stop.grid.zero_point, codes);
}

std::string figure(const Tensor& picture, int scale, const std::string& caption) {
  return "<figure>" + picture_html(picture, scale, caption) + "<figcaption>" + chart::escaped(caption) +
         "</figcaption></figure>";
}

void add_stop(Page& page, const Stop& stop) {
  const std::vector<std::int64_t> channels = strongest_channels(stop.floats, kChannels);
  const auto [low, high] = range_of(stop.floats);
  const double top = std::max(std::fabs(low), std::fabs(high));
  Tensor apart(stop.floats.shape());
  for (std::int64_t i = 0; i < apart.numel(); ++i)
    apart.data<float>()[i] = stop.back.data<float>()[i] - stop.floats.data<float>()[i];
  const auto [least, most] = range_of(apart);
  const double worst = std::max(std::fabs(least), std::fabs(most));
  const int scale = static_cast<int>(std::clamp<std::int64_t>(280 / (kAcross * (stop.floats.shape()[2] + 1)), 1, 16));
  page.html(fmt::format("<h3>{}</h3>\n<p class=\"sub\">{}, {}; step {:.4g}; SQNR {} dB; {:.2f} % clipped</p>\n",
                        chart::escaped(stop.name), stop.op, shape_of(stop), stop.grid.step(),
                        decibel_text(stop.error_db), 100 * stop.use.clipped));
  page.row({figure(mosaic(stop.floats, channels, kAcross, top), scale, fmt::format("floats, up to {:.4g}", top)),
            figure(mosaic(stop.back, channels, kAcross, top), scale, "codes, times the step"),
            figure(mosaic(apart, channels, kAcross, worst), scale, fmt::format("difference, up to {:.3g}", worst))});
}

std::string page_of(const Options& options, const Tensor& picture, const std::string& verdict,
                    const std::vector<Stop>& stops) {
  Page page("One picture's way through the net", options.model);
  page.html(figure(picture.reshape({picture.shape()[1], picture.shape()[2], 3}), 6, verdict));
  page.paragraph(
      fmt::format("Up to {} channels of each value, the strongest first: as the float net makes them, as the integer "
                  "net does, and the "
                  "difference. Yellow is positive, blue is negative.",
                  kChannels));
  for (const Stop& stop : stops) add_stop(page, stop);
  return page.str();
}

Json json_of(const std::vector<Stop>& stops, const Guess& fp32, const Guess& int8) {
  Json values = Json::array();
  for (const Stop& stop : stops) {
    const auto [low, high] = range_of(stop.floats);
    values.push_back({{"value", stop.name},
                      {"op", stop.op},
                      {"shape", shape_of(stop)},
                      {"low", low},
                      {"high", high},
                      {"step", stop.grid.step()},
                      {"zeros", stop.use.zeros},
                      {"clipped", stop.use.clipped},
                      {"sqnr_db", std::isfinite(stop.error_db) ? Json(stop.error_db) : Json()}});
    if (const auto& use = stop.accumulator)
      values.back()["accumulator"] = {{"seen", {use->seen_least, use->seen_greatest}},
                                      {"possible", {use->least, use->greatest}},
                                      {"bits_seen", use->seen_bits()},
                                      {"bits", use->bits()}};
  }
  return {{"fp32", {{"class", fp32.name}, {"probability", fp32.probability}}},
          {"int8", {{"class", int8.name}, {"probability", int8.probability}}},
          {"values", values}};
}

std::vector<Stop> chosen_stops(std::vector<Stop> stops, const std::string& pattern) {
  std::string known;
  for (const Stop& stop : stops) known += (known.empty() ? "" : ", ") + stop.name;
  std::erase_if(stops, [&](const Stop& stop) { return !quant::matches(pattern, stop.name); });
  if (stops.empty()) fail(kWhere, fmt::format("no value is named '{}'", pattern), "known: " + known);
  return stops;
}

}  // namespace

void inspect(const Options& options) {
  const LoadedModel model = load_net(options.model);
  if (model.notes.quant.empty())
    fail(kWhere, fmt::format("'{}' has no quantizers", options.model),
         "give qat.safetensors of a run, or ptq.safetensors of a calibration");
  const quant::QuantConfig config = quant::parse_config(model.notes.quant);
  const Tensor picture = options.pictures.empty() ? test_pictures(options, kWhere) : read_pictures(options.pictures),
               image = data::normalise(picture);
  const quant::Plan plan = quant::make_plan(*model.net, kPicture, config);
  const quant::BothRuns both = quant::run_both(*model.net, plan, image);
  NamedTensors simulated;
  const Tensor logits = quant::Simulator(*model.net, kPicture, config).run(image, &simulated);
  const auto accumulators = quant::accumulator_use(quant::convert(*model.net, kPicture, config), image);
  std::vector<Stop> stops = stops_of(both, simulated, accumulators);
  const Guess fp32 = likeliest(both.float_logits, model.notes.class_names, 1)[0][0],
              int8 = likeliest(logits, model.notes.class_names, 1)[0][0];
  const std::string verdict = fmt::format("as floats: {} ({:.1f} %); as integers: {} ({:.1f} %)", fp32.name,
                                          100 * fp32.probability, int8.name, 100 * int8.probability);
  if (!options.layer.empty()) stops = chosen_stops(std::move(stops), options.layer);
  if (!options.page.empty()) write_file_atomically(options.page, page_of(options, picture, verdict, stops));
  if (options.json) return print_out(json_text(json_of(stops, fp32, int8)));
  std::string text = verdict + "\n\n" + text_of(stops) + "\n" + quant::sixteen_bits(accumulators) + "\n";
  if (!options.layer.empty())
    for (const Stop& stop : stops) text += numbers_of(stop);
  if (!options.page.empty()) text += fmt::format("\nThe page: {}\n", options.page);
  print_out(text);
}

}  // namespace octet::app
