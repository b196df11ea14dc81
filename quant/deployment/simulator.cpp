#include "quant/deployment/simulator.h"

#include <algorithm>
#include <cstring>

#include "core/parallel.h"

namespace octet::quant {
namespace {

using engine::OpKind;
using kernels::Activation;
using Codes = std::vector<std::int16_t>;  // code minus zero point: at most ±255

DType storage(const PlanNode& node) {
  return !node.type.is_codes ? DType::f32 : node.type.grid.is_unsigned() ? DType::u8 : DType::s8;
}
std::int64_t size_of_one(const PlanNode& node) { return node.h * node.w * node.c; }

/// One picture's value of a node, inside the batch tensor.
struct View {
  const PlanNode* node;
  char* data;
  float* floats() const { return reinterpret_cast<float*>(data); }
  std::int32_t code(std::int64_t i) const {
    return node->type.grid.is_unsigned() ? static_cast<std::uint8_t>(data[i]) : static_cast<std::int8_t>(data[i]);
  }
  void set_code(std::int64_t i, std::int32_t q) const { data[i] = static_cast<char>(q); }
  std::int32_t centred(std::int64_t i) const { return code(i) - node->type.grid.zero_point; }
};

float activate(float x, Activation act) {
  if (act == Activation::none) return x;
  const float positive = 0.0f > x ? 0.0f : x;
  return act == Activation::relu6 && 6.0f < positive ? 6.0f : positive;
}

/// The picture with a frame of padding. Padding is the zero point: 0 here.
Codes padded(const View& src, const kernels::ConvGeometry& g) {
  const std::int64_t width = g.w + 2 * g.pad_w;
  Codes out(static_cast<std::size_t>((g.h + 2 * g.pad_h) * width * g.c), 0);
  for (std::int64_t y = 0, i = 0; y < g.h; ++y)
    for (std::int64_t x = 0; x < g.w * g.c; ++x, ++i)
      out[static_cast<std::size_t>(((y + g.pad_h) * width + g.pad_w) * g.c + x)] =
          static_cast<std::int16_t>(src.centred(i));
  return out;
}

/// f(output index, first source row, first source column) for every window of an op, in order.
template <class F>
void for_windows(const kernels::ConvGeometry& g, F f) {
  for (std::int64_t p = 0, i = 0; p < g.out_h(); ++p)
    for (std::int64_t q = 0; q < g.out_w(); ++q, ++i) f(i, p * g.stride_h, q * g.stride_w);
}

void add(const View& a, const View& b, const View& y) {
  const std::int64_t count = size_of_one(*y.node);
  if (!y.node->type.is_codes) {
    for (std::int64_t i = 0; i < count; ++i) y.floats()[i] = a.floats()[i] + b.floats()[i];
    return;
  }
  const QuantParams& grid = y.node->type.grid;
  const CodeBounds to = bounds_of(grid, y.node->act);
  const float ma = a.node->type.grid.step() / grid.step(), mb = b.node->type.grid.step() / grid.step();
  for (std::int64_t i = 0; i < count; ++i)
    y.set_code(i, qmath::add_codes(a.centred(i), b.centred(i), ma, mb, grid.zero_point, to.lo, to.hi));
}

/// Both pools: visits the pixels of each window that lie inside the picture.
void pool(const View& x, const View& y) {
  const kernels::ConvGeometry& g = y.node->geometry;
  const bool codes = y.node->type.is_codes, largest = y.node->op == OpKind::max_pool;
  for_windows(g, [&](std::int64_t pixel, std::int64_t row, std::int64_t column) {
    for (std::int64_t c = 0; c < g.c; ++c) {
      std::int32_t n = 0, sum = 0, top = 0;
      float sum_f = 0, top_f = 0;
      for (std::int64_t h = std::max<std::int64_t>(row - g.pad_h, 0); h < std::min(row - g.pad_h + g.r, g.h); ++h)
        for (std::int64_t w = std::max<std::int64_t>(column - g.pad_w, 0); w < std::min(column - g.pad_w + g.s, g.w);
             ++w, ++n) {
          const std::int64_t at = (h * g.w + w) * g.c + c;
          if (codes)
            sum += x.centred(at), top = n == 0 ? x.code(at) : std::max(top, x.code(at));
          else
            sum_f += x.floats()[at], top_f = n == 0 || x.floats()[at] > top_f ? x.floats()[at] : top_f;
        }
      const std::int64_t to = pixel * g.c + c;
      if (!codes)
        y.floats()[to] = largest ? top_f : sum_f / static_cast<float>(n);
      else if (largest)
        y.set_code(to, top);
      else {
        const QuantParams& grid = y.node->type.grid;
        y.set_code(to, qmath::requantize(sum, qmath::average_multiplier(x.node->type.grid.step(), grid.step(), n),
                                         grid.zero_point, grid.lo, grid.hi));
      }
    }
  });
}

void concat(const std::vector<View>& in, const View& y) {
  const std::size_t element = size_of(storage(*y.node));
  char* to = y.data;
  for (std::int64_t pixel = 0; pixel < y.node->h * y.node->w; ++pixel)
    for (const View& x : in) {
      const std::size_t bytes = static_cast<std::size_t>(size_of_one(*x.node) / (y.node->h * y.node->w)) * element;
      std::memcpy(to, x.data + static_cast<std::size_t>(pixel) * bytes, bytes);
      to += bytes;
    }
}

void run_without_weights(const std::vector<View>& in, const View& y) {
  const std::int64_t count = size_of_one(*y.node);
  const QuantParams& to = y.node->type.grid;
  switch (y.node->op) {
    case OpKind::quantize:
      for (std::int64_t i = 0; i < count; ++i) y.set_code(i, to.quantize(in[0].floats()[i]));
      break;
    case OpKind::dequantize:
      for (std::int64_t i = 0; i < count; ++i) y.floats()[i] = in[0].node->type.grid.dequantize(in[0].code(i));
      break;
    case OpKind::activation:
      for (std::int64_t i = 0; i < count; ++i) y.floats()[i] = activate(in[0].floats()[i], y.node->act);
      break;
    case OpKind::add:
      add(in[0], in[1], y);
      break;
    case OpKind::max_pool:
    case OpKind::avg_pool:
      pool(in[0], y);
      break;
    default:
      concat(in, y);  // flatten too: one part, the same order
  }
}

}  // namespace

/// A convolution's constants: weights widened to 16 bits (depthwise: channels innermost), bias, and what a step of the
/// accumulator is worth.
struct Simulator::Layer {
  Codes weight;
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier, float_bias;

  Layer(const Plan& plan, const PlanNode& node) {
    FoldedLayer folded = fold_node(plan, node);
    const auto codes = folded.codes.span<std::int8_t>();
    weight.assign(codes.begin(), codes.end());
    const auto k = static_cast<std::size_t>(node.geometry.k), taps = weight.size() / k;
    for (std::size_t i = 0; node.op == OpKind::dwconv2d && i < weight.size(); ++i)
      weight[i % taps * k + i / taps] = codes[i];
    bias = std::move(folded.bias), float_bias = std::move(folded.float_bias);
    bias.resize(k, 0);
    const float s_x = plan.nodes[static_cast<std::size_t>(node.inputs[0])].type.grid.step();
    const float s_y = node.type.is_codes ? node.type.grid.step() : 1.0f;
    for (float step : folded.step) multiplier.push_back(s_x * step / s_y);
    for (float& b : float_bias) b /= s_y;
  }

  void store(const View& y, std::int64_t i, std::size_t c, std::int32_t a) const {
    const QuantParams& grid = y.node->type.grid;
    if (!y.node->type.is_codes) {
      const float product = static_cast<float>(a) * multiplier[c];
      y.floats()[i] = activate(float_bias.empty() ? product : product + float_bias[c], y.node->act);
      return;
    }
    const CodeBounds to = bounds_of(grid, y.node->act);
    y.set_code(i, float_bias.empty() ? qmath::requantize(a, multiplier[c], grid.zero_point, to.lo, to.hi)
                                     : qmath::requantize_paddle(a, multiplier[c], float_bias[c], to.lo, to.hi));
  }

  void run(const View& x, const View& y) const {
    const kernels::ConvGeometry& g = y.node->geometry;
    const Codes src = padded(x, g);
    const std::int64_t width = g.w + 2 * g.pad_w;
    const bool depthwise = y.node->op == OpKind::dwconv2d;
    const std::int64_t run = depthwise ? g.c : g.s * g.c;  // elements that lie side by side in source and weight
    std::vector<std::int32_t> sums;
    for_windows(g, [&](std::int64_t pixel, std::int64_t row, std::int64_t column) {
      sums = bias;
      for (std::int64_t r = 0; r < g.r; ++r) {
        const std::int16_t* from = src.data() + ((row + r) * width + column) * g.c;
        for (std::int64_t s = 0; depthwise && s < g.s; ++s)
          for (std::int64_t c = 0; c < run; ++c)
            sums[static_cast<std::size_t>(c)] +=
                from[s * run + c] * weight[static_cast<std::size_t>((r * g.s + s) * run + c)];
        for (std::int64_t k = 0; !depthwise && k < g.k; ++k) {
          const std::int16_t* w = weight.data() + (k * g.r + r) * run;
          std::int32_t sum = 0;
          for (std::int64_t j = 0; j < run; ++j) sum += from[j] * w[j];
          sums[static_cast<std::size_t>(k)] += sum;
        }
      }
      for (std::size_t k = 0; k < sums.size(); ++k) store(y, pixel * g.k + static_cast<std::int64_t>(k), k, sums[k]);
    });
  }
};

Simulator::Simulator(nn::Module& model, const Shape& shape, const QuantConfig& config)
    : plan_(make_plan(model, shape, config)) {
  for (const PlanNode& node : plan_.nodes) {
    const bool layer = node.op == OpKind::conv2d || node.op == OpKind::dwconv2d;
    layers_.push_back(layer ? std::make_shared<const Layer>(plan_, node) : nullptr);
  }
}

Tensor Simulator::run(const Tensor& pictures, NamedTensors* values) const {
  const PlanNode& first = plan_.nodes[0];
  OCTET_CHECK(pictures.dtype() == DType::f32 && pictures.numel() == pictures.shape()[0] * size_of_one(first),
              "simulator", "pictures {} are not N,{},{},{}", pictures.shape().str(), first.h, first.w, first.c);
  const std::int64_t n = pictures.shape()[0];
  std::vector<Tensor> all;
  for (const PlanNode& node : plan_.nodes) all.emplace_back(Shape{n, node.h, node.w, node.c}, storage(node));
  std::memcpy(all[0].raw(), pictures.raw(), pictures.nbytes());
  parallel_for(n, [&](std::int64_t picture) {
    std::vector<View> views;
    for (std::size_t i = 0; i < all.size(); ++i)
      views.push_back(
          {&plan_.nodes[i], static_cast<char*>(all[i].raw()) +
                                all[i].nbytes() / static_cast<std::size_t>(n) * static_cast<std::size_t>(picture)});
    for (std::size_t i = 1; i < all.size(); ++i) {
      std::vector<View> in;
      for (int input : plan_.nodes[i].inputs) in.push_back(views[static_cast<std::size_t>(input)]);
      layers_[i] ? layers_[i]->run(in[0], views[i]) : run_without_weights(in, views[i]);
    }
  });
  if (values != nullptr) values->clear();
  for (std::size_t i = 0; values != nullptr && i < all.size(); ++i) values->emplace_back(plan_.nodes[i].name, all[i]);
  return all[static_cast<std::size_t>(plan_.output)].reshape(
      {n, size_of_one(plan_.nodes[static_cast<std::size_t>(plan_.output)])});
}

}  // namespace octet::quant
