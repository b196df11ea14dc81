#include "benchmarks/gpu/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "benchmarks/conv_tasks.h"
#include "benchmarks/quant_tasks.h"
#include "core/gpu/gpu.h"
#include "core/random.h"
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "kernels/dwconv2d/dwconv2d.h"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"

namespace octet::bench {
namespace {

constexpr std::uint64_t kSeed = 21;
constexpr std::int64_t kLargeCount = std::int64_t{1} << 26;  // floats: five times the second-level cache of an H200
constexpr std::int64_t kQuickCount = std::int64_t{1} << 12;

/// A problem of one pass: operands in the order in which `bind` wants them, uniform between two bounds.
template <class Problem, class Pointers>
struct DeviceTask {
  const char* pass;
  std::string shape;
  Problem problem;
  Work work;
  std::int64_t terms;  ///< of a sum, for K·ε; 0 where bits must be equal
  struct Input {
    std::int64_t count;
    double lo = -1, hi = 1;
  };
  std::vector<Input> inputs;
  std::int64_t output;
  std::function<Pointers(const std::vector<const float*>&, float*)> bind;
  std::int64_t beside = 0;  ///< floats behind the output for other results, which are not compared
};

std::vector<std::vector<float>> drawn(const auto& inputs) {
  std::vector<std::vector<float>> all;
  for (const auto& input : inputs) {
    Random random(kSeed, Purpose::test, all.size());
    std::vector<float> values(static_cast<std::size_t>(input.count));
    for (float& v : values) v = static_cast<float>(input.lo + (input.hi - input.lo) * (random.bits() >> 8) * 0x1p-24);
    all.push_back(std::move(values));
  }
  return all;
}

std::vector<const float*> addresses(const std::vector<std::vector<float>>& values) {
  std::vector<const float*> all;
  for (const auto& one : values) all.push_back(one.data());
  return all;
}

/// "" or the first element that is wrong. `sums`: of the terms' magnitudes, empty where bits must be equal. K·ε of them
/// would let anything pass where K is all pixels of a batch; operands are uniform around zero, so that rounding errors
/// stay below one ε of them whatever K and order are: 32 are enough for any element.
std::string compare(const std::vector<float>& wanted, const std::vector<float>& got, const std::vector<float>& sums,
                    std::int64_t terms) {
  const double factor = 4.0 * static_cast<double>(std::min<std::int64_t>(terms + 1, 8)) * 0x1p-24;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const bool right = sums.empty() ? std::memcmp(&wanted[i], &got[i], sizeof(float)) == 0
                                    : std::fabs(double{got[i]} - wanted[i]) <= factor * sums[i] + 1e-30;
    if (!right) return fmt::format("element {} of {}: {} instead of {}", i, wanted.size(), got[i], wanted[i]);
  }
  return {};
}

template <class R, class Problem, class Pointers>
class Measurement {
 public:
  Measurement(std::span<const R> rows, const DeviceTask<Problem, Pointers>& task) : rows_(rows), task_(task) {}

  /// One line for each row of the device.
  void measure(const DeviceTiming& timing, std::vector<DeviceRow>& lines) {
    for (const R& row : rows_) {
      if (!kernels::same_text(row.pass, task_.pass) || !runs_here(row)) continue;
      DeviceRow line{task_.pass, task_.shape, row.impl, task_.problem.str(), {}, 1, task_.work, {}, {}};
      try {
        if (const char* reason = row.why_not(task_.problem)) line.error = reason;
        if (line.error.empty()) run(row, timing, line);
      } catch (const std::exception& error) {
        line.error = error.what();
      }
      lines.push_back(std::move(line));
    }
  }

 private:
  /// cuDNN's rows too, which selection passes over.
  static bool runs_here(const R& row) {
    if (kernels::refused({row.pass, row.dtypes, row.device, row.impl}, "f32", Device::cuda) == nullptr) return true;
    return kernels::same_text(row.impl, "cudnn") && kernels::same_text(row.dtypes, "f32") &&
           gpu::kind() == gpu::Kind::cuda;
  }

  void run(const R& row, const DeviceTiming& timing, DeviceRow& line) {
    if (there_.empty()) prepare();
    const auto bytes = static_cast<std::size_t>(task_.output) * sizeof(float);
    const std::shared_ptr<void> output = gpu::allocate(bytes + static_cast<std::size_t>(task_.beside) * sizeof(float));
    std::vector<float> got(wanted_.size(), std::numeric_limits<float>::quiet_NaN());
    gpu::copy_from_host(output.get(), got.data(), bytes);
    std::vector<const float*> there;
    for (const auto& one : there_) there.push_back(static_cast<const float*>(one.get()));
    const Pointers pointers = task_.bind(there, static_cast<float*>(output.get()));
    const auto call = [&] { row.run(task_.problem, pointers, kernels::context_of(Device::cuda)); };
    call();
    gpu::copy_to_host(got.data(), output.get(), bytes);
    line.error = compare(wanted_, got, sums_, task_.terms);
    if (line.error.empty()) line.seconds = time_on_device(call, timing);
  }

  /// Operands on both sides, and what the processor makes of them.
  void prepare() {
    auto inputs = drawn(task_.inputs);
    for (const auto& values : inputs) {
      there_.push_back(gpu::allocate(values.size() * sizeof(float)));
      gpu::copy_from_host(there_.back().get(), values.data(), values.size() * sizeof(float));
    }
    wanted_ = on_processor(inputs);
    if (task_.terms == 0) return;
    for (auto& values : inputs)
      for (float& v : values) v = std::fabs(v);
    sums_ = on_processor(inputs);
  }
  std::vector<float> on_processor(const std::vector<std::vector<float>>& inputs) {
    std::vector<float> output(static_cast<std::size_t>(task_.output + task_.beside));
    kernels::dispatch(rows_, task_.pass, "f32", task_.problem, task_.bind(addresses(inputs), output.data()));
    output.resize(static_cast<std::size_t>(task_.output));
    return output;
  }

  std::span<const R> rows_;
  const DeviceTask<Problem, Pointers>& task_;
  std::vector<std::shared_ptr<void>> there_;
  std::vector<float> wanted_, sums_;
};

using ConvDeviceTask = DeviceTask<kernels::ConvGeometry, kernels::Conv2dPointers>;

ConvDeviceTask conv_task(const char* pass, ConvPass which, const Layer& layer) {
  const Extents e = extents_of(layer);
  const kernels::ConvGeometry& g = layer.geometry;
  const Work work{2 * conv_macs(layer), static_cast<double>(e.src + e.weight + e.dst) * sizeof(float)};
  const std::int64_t window = g.r * g.s;
  ConvDeviceTask task{pass, layer.name, g, work, 0, {}, 0, {}};
  switch (which) {
    case ConvPass::forward:
      task.inputs = {{e.src}, {e.weight}}, task.output = e.dst, task.terms = window * (layer.depthwise ? 1 : g.c);
      task.bind = [](const auto& in, float* out) {
        return kernels::Conv2dPointers{.src = in[0], .weight = in[1], .dst = out};
      };
      break;
    case ConvPass::backward_data:
      task.inputs = {{e.dst}, {e.weight}}, task.output = e.src, task.terms = window * (layer.depthwise ? 1 : g.k);
      task.bind = [](const auto& in, float* out) {
        return kernels::Conv2dPointers{.weight = in[1], .d_dst = in[0], .d_src = out};
      };
      break;
    case ConvPass::backward_weight:
      task.inputs = {{e.src}, {e.dst}}, task.output = e.weight, task.terms = g.out_pixels();
      task.bind = [](const auto& in, float* out) {
        return kernels::Conv2dPointers{.src = in[0], .d_dst = in[1], .d_weight = out};
      };
      break;
  }
  return task;
}

using FusedDeviceTask = DeviceTask<kernels::ConvBnProblem, kernels::ConvBnPointers>;

/// A layer behind a batch norm with ReLU, its own statistics taken; its first one's source is a picture.
FusedDeviceTask fused_task(const char* pass, bool forward, const Layer& layer) {
  const Extents e = extents_of(layer);
  const kernels::ConvGeometry& g = layer.geometry;
  kernels::ConvBnProblem problem;
  problem.geometry = g;
  problem.mapped = layer.depthwise || g.is_pointwise();
  if (problem.mapped) problem.act = kernels::Activation::relu;
  // Backward reads the output and its gradient beside the source, and makes both gradients.
  const double passes = forward ? 1 : 2,
               bytes = static_cast<double>(passes * (e.src + e.dst) + e.weight) * sizeof(float);
  FusedDeviceTask task{pass,
                       layer.name,
                       problem,
                       {2 * passes * conv_macs(layer), bytes},
                       g.r * g.s *
                           (layer.depthwise ? 1
                            : forward       ? g.c
                                            : g.k),
                       {},
                       0,
                       {}};
  task.inputs = {{e.src}, {g.c}, {g.c}, {e.weight}};
  if (forward) {
    task.output = e.dst, task.beside = 2 * g.k;
    task.bind = [problem, e](const auto& in, float* out) {
      kernels::ConvBnPointers io{.src = in[0], .weight = in[3], .dst = out};
      if (problem.mapped) io.scale = in[1], io.shift = in[2];
      io.mean = out + e.dst, io.variance = io.mean + problem.geometry.k;
      return io;
    };
    return task;
  }
  for (const std::int64_t count : {e.dst, e.dst, g.k, g.k}) task.inputs.push_back({count});
  task.output = e.src, task.beside = 2 * g.c + e.weight;
  task.bind = [problem, e](const auto& in, float* out) {
    kernels::ConvBnPointers io{
        .src = in[0], .weight = in[3], .d_dst = in[4], .z_dst = in[5], .slope = in[6], .offset = in[7], .d_src = out};
    if (problem.mapped) {
      io.scale = in[1], io.shift = in[2];
      io.d_scale = out + e.src, io.d_shift = io.d_scale + problem.geometry.c;
    }
    io.d_weight = out + e.src + 2 * problem.geometry.c;
    return io;
  };
  return task;
}

struct NamedPass {
  const char* name;
  ConvPass which;
};

std::vector<Layer> measured_layers(LayerKind kind, const DeviceSettings& settings) {
  std::vector<Layer> layers = layers_of(kind, settings.batch);
  if (settings.quick && layers.size() > 2) layers = {layers[0], layers[1]};
  return layers;
}

void add_fused(std::span<const kernels::ConvBnRow> rows, LayerKind kind, const char* fwd, const char* bwd,
               const DeviceSettings& settings, std::vector<DeviceRow>& lines) {
  for (const Layer& layer : measured_layers(kind, settings))
    for (const bool forward : {true, false}) {
      const std::size_t before = lines.size();
      const FusedDeviceTask task = fused_task(forward ? fwd : bwd, forward, layer);
      Measurement<kernels::ConvBnRow, kernels::ConvBnProblem, kernels::ConvBnPointers>(rows, task)
          .measure(settings.timing, lines);
      for (std::size_t i = before; i < lines.size(); ++i)
        lines[i].geometry = layer.geometry, lines[i].times = layer.times;
    }
}

template <class R>
void add_layers(std::span<const R> rows, LayerKind kind, const NamedPass (&passes)[3], const DeviceSettings& settings,
                std::vector<DeviceRow>& lines) {
  for (const Layer& layer : measured_layers(kind, settings))
    for (const NamedPass& pass : passes) {
      const std::size_t before = lines.size();
      const ConvDeviceTask task = conv_task(pass.name, pass.which, layer);
      Measurement<R, kernels::ConvGeometry, kernels::Conv2dPointers>(rows, task).measure(settings.timing, lines);
      for (std::size_t i = before; i < lines.size(); ++i)
        lines[i].geometry = layer.geometry, lines[i].times = layer.times;
    }
}

void add_fake_quant_rows(const QuantCase& quant, const DeviceSettings& settings, std::vector<DeviceRow>& lines) {
  using Task = DeviceTask<kernels::FakeQuantProblem, kernels::FakeQuantPointers>;
  const std::int64_t count = quant.count();
  const auto bytes = static_cast<double>(count) * sizeof(float);
  const typename Task::Input src{count}, scale{quant.problem.channels, 0.004, 0.008};
  const Task forward{
      "fake_quant_fwd",
      quant.shape,
      quant.problem,
      {0, 2 * bytes},
      0,
      {src, scale},
      count,
      [](const auto& in, float* out) { return kernels::FakeQuantPointers{.src = in[0], .scale = in[1], .dst = out}; }};
  const Task backward{"fake_quant_bwd",
                      quant.shape,
                      quant.problem,
                      {0, 3 * bytes},
                      0,
                      {src, scale, src},
                      count,
                      [](const auto& in, float* out) {
                        return kernels::FakeQuantPointers{.src = in[0], .scale = in[1], .d_dst = in[2], .d_src = out};
                      }};
  for (const Task& task : {forward, backward})
    Measurement<kernels::FakeQuantRow, kernels::FakeQuantProblem, kernels::FakeQuantPointers>(
        kernels::fake_quant_rows(), task)
        .measure(settings.timing, lines);
}

}  // namespace

CopyRate measure_copy(const DeviceSettings& settings) {
  CopyRate rate;
  rate.bytes = (settings.quick ? kQuickCount : kLargeCount) * static_cast<std::int64_t>(sizeof(float));
  const auto bytes = static_cast<std::size_t>(rate.bytes);
  const std::shared_ptr<void> from = gpu::allocate(bytes), to = gpu::allocate(bytes);
  gpu::zero(from.get(), bytes);
  rate.seconds = time_on_device([&] { gpu::copy(to.get(), from.get(), bytes); }, settings.timing);
  return rate;
}

std::vector<DeviceRow> measure_device_rows(const DeviceSettings& settings) {
  std::vector<DeviceRow> lines;
  add_fake_quant_rows({"large", {1, settings.quick ? kQuickCount : kLargeCount, 0, 0, 255}}, settings, lines);
  std::vector<QuantCase> cases = quant_cases(settings.batch);
  if (settings.quick) cases = {cases.front(), cases.back()};
  for (const QuantCase& quant : cases) add_fake_quant_rows(quant, settings, lines);
  add_layers(kernels::dwconv2d_rows(), LayerKind::depthwise,
             {{"dwconv2d_fwd", ConvPass::forward},
              {"dwconv2d_bwd_data", ConvPass::backward_data},
              {"dwconv2d_bwd_weight", ConvPass::backward_weight}},
             settings, lines);
  add_layers(kernels::conv2d_rows(), LayerKind::conv,
             {{"conv2d_fwd", ConvPass::forward},
              {"conv2d_bwd_data", ConvPass::backward_data},
              {"conv2d_bwd_weight", ConvPass::backward_weight}},
             settings, lines);
  add_fused(kernels::dwconv2d_bn_rows(), LayerKind::depthwise, "dwconv2d_bn_fwd", "dwconv2d_bn_bwd", settings, lines);
  add_fused(kernels::conv2d_bn_rows(), LayerKind::conv, "conv2d_bn_fwd", "conv2d_bn_bwd", settings, lines);
  return lines;
}

}  // namespace octet::bench
