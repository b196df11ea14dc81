// info: what this program is and what it would run here.
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/report.h"
#include "core/cpu_features.h"
#include "core/gpu/gpu.h"
#include "core/parallel.h"
#include "kernels/batchnorm/batchnorm.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"
#include "kernels/fake_quant/fake_quant.h"
#include "kernels/linear/linear.h"
#include "quant/onnx/export.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

// The row that a layer in the middle of the net gets.
template <class R, class Problem>
void add_row(Json& rows, std::span<const R> table, const char* pass, const char* dtypes, const Problem& problem) {
  rows[std::string(pass) + " " + dtypes] = kernels::select(table, pass, dtypes, problem).impl;
}

Json rows_here() {
  const kernels::ConvGeometry pointwise{256, 4, 4, 256, 256, 1, 1, 1, 1, 0, 0},
      depthwise{256, 4, 4, 256, 256, 3, 3, 1, 1, 1, 1};
  Json rows;
  for (const char* pass : {"conv2d_fwd", "conv2d_bwd_data", "conv2d_bwd_weight"})
    add_row(rows, kernels::conv2d_rows(), pass, "f32", pointwise);
  for (const char* pass : {"dwconv2d_fwd", "dwconv2d_bwd_data", "dwconv2d_bwd_weight"})
    add_row(rows, kernels::dwconv2d_rows(), pass, "f32", depthwise);
  add_row(rows, kernels::linear_rows(), "linear_fwd", "f32", kernels::LinearProblem{256, 10, 1024});
  add_row(rows, kernels::batchnorm_rows(), "batchnorm_stats", "f32",
          kernels::BatchNormProblem{4096, 256, kernels::Activation::none});
  add_row(rows, kernels::fake_quant_rows(), "fake_quant_fwd", "f32", kernels::FakeQuantProblem{});
  kernels::IntConvProblem problem;
  problem.geometry = pointwise;
  add_row(rows, kernels::conv2d_int8_rows(), "conv2d_int8_fwd", "u8s8", problem);
  problem.geometry = depthwise;
  add_row(rows, kernels::dwconv2d_int8_rows(), "dwconv2d_int8_fwd", "u8s8", problem);
  return rows;
}

}  // namespace

void info(const Options& options) {
  const std::string sanitize = OCTET_SANITIZE;
  const Json j{{"version", OCTET_VERSION},
               {"build", OCTET_BUILD_TYPE},
               {"compiler", OCTET_COMPILER},
               {"sanitizers", sanitize.empty() ? "none" : sanitize},
               {"onednn", OCTET_WITH_ONEDNN != 0},
               {"openblas", OCTET_WITH_OPENBLAS != 0},
               {"onnx", quant::has_onnx()},
               {"cuda", OCTET_WITH_CUDA != 0},
               {"device", gpu::kind() == gpu::Kind::none ? "none: " + gpu::description() : gpu::description()},
               {"cpu", cpu_description()},
               {"isa_detected", name_of(detected_isa())},
               {"isa_used", name_of(usable_isa())},
               {"threads", num_threads()},
               {"rows", rows_here()}};
  if (options.json) return print_out(json_text(j));
  std::string text;
  for (const auto& [key, value] : j.items())
    if (key != "rows")
      text += fmt::format("{:14} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
  text += "rows\n";
  for (const auto& [pass, impl] : j["rows"].items()) text += fmt::format("  {:28} {}\n", pass, impl.get<std::string>());
  print_out(text);
}

}  // namespace octet::app
