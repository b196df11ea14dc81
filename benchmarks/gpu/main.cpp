// octet_gpu: rows of the device on the shapes of MobileNetV1, checked, then timed; its memory's rate; whole training
// steps.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "benchmarks/gpu/steps.h"
#include "benchmarks/json_text.h"
#include "benchmarks/program.h"
#include "core/error.h"
#include "core/gpu/gpu.h"

namespace octet::bench {
namespace {

using Json = nlohmann::ordered_json;

struct GpuOptions {
  bool emulated = false, quick = false, json = false, identify = false;
  std::vector<std::string> parts;
  std::int64_t batch = 0;
};

const char* name_of_kind() {
  switch (gpu::kind()) {
    case gpu::Kind::cuda:
      return "cuda";
    case gpu::Kind::emulated:
      return "emulated";
    case gpu::Kind::none:
      break;
  }
  return "none";
}

Json quartiles_json(const Quartiles& q) { return {{"low", q.low}, {"median", q.median}, {"high", q.high}}; }

Json geometry_json(const kernels::ConvGeometry& g) {
  return {{"n", g.n},
          {"h", g.h},
          {"w", g.w},
          {"c", g.c},
          {"k", g.k},
          {"r", g.r},
          {"s", g.s},
          {"stride", {g.stride_h, g.stride_w}},
          {"pad", {g.pad_h, g.pad_w}}};
}

Json row_json(const DeviceRow& row) {
  Json j{{"pass", row.pass}, {"shape", row.shape}, {"row", row.impl}, {"problem", row.problem}, {"times", row.times}};
  if (row.pass.find("conv2d") != std::string::npos) j["geometry"] = geometry_json(row.geometry);
  if (!row.error.empty()) {
    j["error"] = row.error;
    return j;
  }
  j["seconds"] = quartiles_json(row.seconds);
  j["gbytes_per_second"] = 1e-9 * row.work.bytes / row.seconds.median;
  j["tflops"] = 1e-12 * row.work.ops / row.seconds.median;
  return j;
}

Json step_json(const DeviceStep& step) {
  Json j{{"side", step.side}, {"what", step.what}};
  if (step.error.empty())
    j["seconds"] = quartiles_json(step.seconds), j["loss"] = step.loss;
  else
    j["error"] = step.error;
  return j;
}

void print_rows(const std::vector<DeviceRow>& rows, const std::optional<CopyRate>& copy) {
  fmt::print("{:<20} {:<16} {:<9} {:>11} {:>9} {:>7} {:>8}\n", "pass", "shape", "row", "us", "GB/s", "of copy",
             "TFLOP/s");
  for (const DeviceRow& row : rows) {
    fmt::print("{:<20} {:<16} {:<9} ", row.pass, row.shape, row.impl);
    if (!row.error.empty()) {
      fmt::print("FAILED: {}\n", row.error);
      continue;
    }
    const double seconds = row.seconds.median, rate = 1e-9 * row.work.bytes / seconds;
    const std::string share = copy ? fmt::format("{:.1f} %", 100 * rate / copy->gbytes()) : "";
    const std::string flops = row.work.ops > 0 ? fmt::format("{:.3f}", 1e-12 * row.work.ops / seconds) : "";
    fmt::print("{:>11.2f} {:>9.1f} {:>7} {:>8}\n", 1e6 * seconds, rate, share, flops);
  }
}

void print_steps(const std::vector<DeviceStep>& steps, std::int64_t batch) {
  for (const DeviceStep& step : steps)
    if (step.error.empty())
      fmt::print("step, batch {}: {:<11} {:.3f} ms ({:.3f} to {:.3f}), {}\n", batch, step.side,
                 1e3 * step.seconds.median, 1e3 * step.seconds.low, 1e3 * step.seconds.high, step.what);
    else
      fmt::print("step, batch {}: {:<11} FAILED: {}\n", batch, step.side, step.error);
}

/// Refuses the emulated device where a real one was meant: its times mean nothing.
void take_device(const GpuOptions& options) {
  if (options.emulated) {
    OCTET_CHECK(gpu::can_emulate(), "octet_gpu",
                "this build has no emulated device ---> HINT configure with -DOCTET_TESTS=ON");
    gpu::use_emulated();
    return;
  }
  OCTET_CHECK(gpu::kind() == gpu::Kind::cuda || options.identify, "octet_gpu",
              "the device in use is no CUDA device ({}) ---> HINT --emulated --quick is a dry run without one",
              gpu::description());
}

int run(const GpuOptions& options) {
  take_device(options);
  Json j{{"kind", name_of_kind()}, {"device", gpu::description()}};
  if (options.identify) {
    fmt::print("{}\n", options.json ? j.dump() : fmt::format("{}: {}", name_of_kind(), gpu::description()));
    return 0;
  }
  DeviceSettings settings;
  settings.quick = options.quick;
  settings.batch = options.batch > 0 ? options.batch : options.quick ? 2 : 256;
  if (options.quick) settings.timing = {1, 0};
  const auto wanted = [&](const char* part) {
    return options.parts.empty() || std::find(options.parts.begin(), options.parts.end(), part) != options.parts.end();
  };
  std::optional<CopyRate> copy;
  if (wanted("copy")) copy = measure_copy(settings);
  const std::vector<DeviceRow> rows = wanted("rows") ? measure_device_rows(settings) : std::vector<DeviceRow>{};
  const std::vector<DeviceStep> steps = wanted("steps") ? measure_device_steps(settings) : std::vector<DeviceStep>{};
  int failed = 0;
  for (const DeviceRow& row : rows) failed += row.error.empty() ? 0 : 1;
  for (const DeviceStep& step : steps) failed += step.error.empty() ? 0 : 1;
  if (options.json) {
    j["batch"] = settings.batch;
    if (copy)
      j["copy"] = {
          {"bytes", copy->bytes}, {"seconds", quartiles_json(copy->seconds)}, {"gbytes_per_second", copy->gbytes()}};
    j["rows"] = Json::array(), j["steps"] = Json::array();
    for (const DeviceRow& row : rows) j["rows"].push_back(row_json(row));
    for (const DeviceStep& step : steps) j["steps"].push_back(step_json(step));
    j["system"] = json_header(system_facts(), {})["system"];
    fmt::print("{}\n", j.dump(2));
  } else {
    fmt::print("{}: {}{}\n", name_of_kind(), gpu::description(), options.emulated ? "; its times mean nothing" : "");
    if (copy) fmt::print("copy: {:.1f} GB/s, {} bytes read and written\n", copy->gbytes(), copy->bytes);
    if (!rows.empty()) print_rows(rows, copy);
    print_steps(steps, settings.batch);
  }
  fmt::print(stderr, "octet_gpu: {} rows and {} steps, {} failed\n", rows.size(), steps.size(), failed);
  return failed == 0 ? 0 : 1;
}

void describe(CLI::App& app, GpuOptions& o) {
  app.add_option("--parts", o.parts, "copy, rows, steps; all without it")
      ->delimiter(',')
      ->check(CLI::IsMember({"copy", "rows", "steps"}));
  app.add_option("--batch", o.batch, "pictures; 256, with --quick 2")->check(CLI::Range(1, 65536));
  app.add_flag("--quick", o.quick, "few shapes, each once: shows that all works");
  app.add_flag("--emulated", o.emulated, "on the emulated device: a dry run");
  app.add_flag("--identify", o.identify, "only name the device in use");
  app.add_flag("--json", o.json, "JSON on stdout, times in seconds");
}

}  // namespace
}  // namespace octet::bench

int main(int argc, char** argv) {
  CLI::App app{
      "Times the rows of the device on the shapes of MobileNetV1, and whole training steps. A row is checked against "
      "the processor's first.",
      "octet_gpu"};
  octet::bench::GpuOptions options;
  octet::bench::describe(app, options);
  return octet::bench::run_program(app, argc, argv, [&] { return octet::bench::run(options); });
}
