// What a graph must satisfy before anything is planned or allocated for it: files are not trusted.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "quant/engine/graph.h"

namespace octet::engine {
namespace {

constexpr std::int64_t kLeastLanes = 64;  // bytes that depthwise rows take at once
constexpr std::int64_t kMostNodes = 10000, kMostExtent = 1 << 16, kMostElements = std::int64_t{1} << 28;
// Codes less their zero points lie in [-255, 255]; what sums them counts in int32.
constexpr std::int64_t kMostPooled = ((std::int64_t{1} << 31) - 1) / 255;

// Names end up in messages, reports and file names.
bool is_name(const std::string& name) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  return !name.empty() && name.size() <= 512 && std::none_of(name.begin(), name.end(), is_control);
}

bool is_positive(float x) { return std::isfinite(x) && x > 0; }

class Checker {
 public:
  explicit Checker(const Graph& graph) : graph_(graph) {}

  void run() {
    OCTET_CHECK(!graph_.nodes.empty() && static_cast<std::int64_t>(graph_.nodes.size()) <= kMostNodes, "graph",
                "{} nodes are not in [1, {}]", graph_.nodes.size(), kMostNodes);
    for (at_ = 0; at_ < graph_.nodes.size(); ++at_) check_node();
    require(graph_.output >= 0 && static_cast<std::size_t>(graph_.output) < graph_.nodes.size(),
            "is not followed by the output that is named");
    const GraphNode& output = graph_.nodes[static_cast<std::size_t>(graph_.output)];
    OCTET_CHECK(!output.type.is_codes && output.h == 1 && output.w == 1, "graph",
                "output '{}' is not a vector of floats", output.name);
  }

 private:
  const GraphNode& node() const { return graph_.nodes[at_]; }
  const GraphNode& input(std::size_t i = 0) const { return graph_.nodes[static_cast<std::size_t>(node().inputs[i])]; }
  void require(bool holds, const char* what) const {
    if (holds) return;
    const std::size_t at = std::min(at_, graph_.nodes.size() - 1);
    fail("graph", fmt::format("node {} '{}' ({}) {}", at, graph_.nodes[at].name, name_of(graph_.nodes[at].op), what));
  }

  void check_node() {
    require(is_name(node().name) && names_.insert(node().name).second,
            "needs a name of its own, without control characters");
    require((node().op == OpKind::input) == (at_ == 0), "is an input where none may be");
    for (int i : node().inputs)
      require(i >= 0 && static_cast<std::size_t>(i) < at_, "reads a node that does not come before it");
    check_arity();
    for (std::int64_t extent : {node().h, node().w, node().c})
      require(extent >= 1 && extent <= kMostExtent, "has an extent out of range");
    require(node().h * node().w * node().c <= kMostElements, "is too large");
    check_type();
    check_extras();
    check_op();
  }

  void check_arity() const {
    const std::size_t n = node().inputs.size();
    switch (node().op) {
      case OpKind::input:
        require(n == 0, "takes no input");
        break;
      case OpKind::add:
        require(n == 2, "takes two inputs");
        break;
      case OpKind::concat:
        require(n >= 1, "takes at least one input");
        break;
      default:
        require(n == 1, "takes one input");
    }
  }

  void check_type() const {
    if (!node().type.is_codes) return;
    const QuantParams& grid = node().type.grid;
    require(grid.scale.size() == 1 && is_positive(grid.scale[0]), "needs one positive finite scale");
    require(grid.lo <= grid.hi && grid.lo >= -128 && grid.hi <= 255 && (grid.hi <= 127 || grid.lo >= 0),
            "has bounds that fit neither s8 nor u8");
    require(grid.zero_point >= grid.lo && grid.zero_point <= grid.hi, "has a zero point outside its bounds");
    require(grid.rule == QuantRule::onnx || (grid.zero_point == 0 && grid.hi > 0 && grid.lo == -grid.hi),
            "has a grid that the paddle rule does not know");
    require(is_positive(grid.step()), "has a scale too small for a step");
    require(node().clamp_lo >= grid.lo && node().clamp_hi <= grid.hi && node().clamp_lo <= node().clamp_hi,
            "clamps outside its grid");
    require(clamps() || (node().clamp_lo == grid.lo && node().clamp_hi == grid.hi), "clamps where nothing is computed");
  }

  // Ops that compute codes, and so can clamp them; the others hand codes on or quantize to the bounds of their grid.
  bool clamps() const { return is_layer(node().op) || node().op == OpKind::add || node().op == OpKind::avg_pool; }

  // What an op does not use must not be there: it would be lost in a file, or read as if it were obeyed.
  void check_extras() const {
    const bool bare =
        !node().weight.defined() && node().weight_step.empty() && node().bias.empty() && node().float_bias.empty();
    require(is_layer(node().op) || bare, "has weights that it does not use");
    const bool active = node().op == OpKind::activation;
    require((node().act != kernels::Activation::none) == active || (is_layer(node().op) && !node().type.is_codes),
            "has an activation too few or too many");
  }

  void check_op() const {
    switch (node().op) {
      case OpKind::input:
        require(!node().type.is_codes, "must be floats");
        break;
      case OpKind::quantize:
        require(same_extent() && node().type.is_codes && !input().type.is_codes, "must go from floats to codes");
        break;
      case OpKind::dequantize:
        require(same_extent() && !node().type.is_codes && input().type.is_codes, "must go from codes to floats");
        break;
      case OpKind::activation:
        require(same_extent() && !node().type.is_codes && !input().type.is_codes, "must go from floats to floats");
        break;
      case OpKind::conv2d:
      case OpKind::dwconv2d:
        check_conv();
        break;
      case OpKind::add:
        check_add();
        break;
      case OpKind::concat:
        check_concat();
        break;
      case OpKind::max_pool:
      case OpKind::avg_pool:
        check_pool();
        break;
      case OpKind::flatten:
        require(node().h == 1 && node().w == 1 && node().c == input().h * input().w * input().c,
                "changes the number of values");
        require(same_type(input()), "changes the type");
        break;
    }
  }

  bool same_extent() const { return node().h == input().h && node().w == input().w && node().c == input().c; }
  bool same_type(const GraphNode& other) const {
    return node().type.is_codes == other.type.is_codes &&
           (!node().type.is_codes || node().type.grid == other.type.grid);
  }

  void check_geometry() const {
    const kernels::ConvGeometry& g = node().geometry;
    require(g.h == input().h && g.w == input().w && g.c == input().c, "has a geometry that is not its input's");
    for (std::int64_t extent : {g.k, g.r, g.s, g.stride_h, g.stride_w})
      require(extent >= 1 && extent <= kMostExtent, "has a geometry out of range");
    require(g.pad_h >= 0 && g.pad_w >= 0 && g.pad_h < g.r && g.pad_w < g.s, "pads as much as its window or more");
    require(g.h + 2 * g.pad_h >= g.r && g.w + 2 * g.pad_w >= g.s, "has a window larger than its padded input");
    require(g.out_h() == node().h && g.out_w() == node().w && g.k == node().c,
            "has an extent that its geometry does not give");
  }

  void check_conv() const {
    check_geometry();
    const kernels::ConvGeometry& g = node().geometry;
    // Rows keep the lines under a window, padded.
    const std::int64_t line = (g.w + 2 * g.pad_w) * std::max(g.c, kLeastLanes);
    require(line <= kMostElements / g.r, "has a window that is too large");
    const bool depthwise = node().op == OpKind::dwconv2d;
    require(!depthwise || g.k == g.c, "changes the channels of a depthwise convolution");
    require(node().weight.defined() && node().weight.shape() == Shape{g.k, g.r, g.s, depthwise ? 1 : g.c},
            "has weights of another shape or type");
    const auto k = static_cast<std::size_t>(g.k);
    require(node().bias.size() == (node().bias.empty() ? 0 : k) &&
                node().float_bias.size() == (node().float_bias.empty() ? 0 : k),
            "needs a bias per channel or none");
    is_float_layer(node()) ? check_float_conv() : check_integer_conv();
  }

  void check_float_conv() const {
    require(!input().type.is_codes && !node().type.is_codes, "has weights of f32 and reads or makes codes");
    require(node().weight_step.empty() && node().bias.empty(), "has steps or an integer bias for weights of f32");
    require(node().rule == QuantRule::onnx, "has a rule of quantization for weights of f32");
    const auto weight = node().weight.span<float>();
    require(std::all_of(weight.begin(), weight.end(), [](float w) { return std::isfinite(w); }),
            "has a weight that is not finite");
    for (float b : node().float_bias) require(std::isfinite(b), "has a bias that is not finite");
  }

  void check_integer_conv() const {
    require(node().weight.dtype() == DType::s8, "has weights of another shape or type");
    require(input().type.is_codes, "reads floats instead of codes");
    const auto k = static_cast<std::size_t>(node().geometry.k);
    require(node().weight_step.size() == k, "needs a weight step per channel");
    require(node().bias.empty() || node().float_bias.empty(), "has two biases");
    require(node().rule == QuantRule::onnx || node().bias.empty(), "has an integer bias under the paddle rule");
    require(node().rule == QuantRule::paddle || node().float_bias.empty(), "has a float bias under the onnx rule");
    require(node().rule == QuantRule::onnx || !node().type.is_codes || node().type.grid.zero_point == 0,
            "has a zero point under the paddle rule");
    const auto weight = node().weight.span<std::int8_t>();
    require(std::memchr(weight.data(), 0x80, weight.size()) == nullptr, "has a weight of -128");
    const float s_x = input().type.grid.step();
    const float s_y = node().type.is_codes ? node().type.grid.step() : 1.0f;
    for (std::size_t c = 0; c < k; ++c) {
      require(is_positive(node().weight_step[c]), "needs positive finite weight steps");
      const float multiplier = s_x * node().weight_step[c] / s_y;
      require(std::isfinite(multiplier), "has a multiplier that is not finite");
      require(node().float_bias.empty() || std::isfinite(node().float_bias[c] / s_y), "has a bias that is not finite");
      require(accumulator_bound(node(), input().type.grid, static_cast<std::int64_t>(c)) < (std::int64_t{1} << 31),
              "can overflow its accumulator");
    }
  }

  void check_add() const {
    require(same_extent() && input(0).h == input(1).h && input(0).w == input(1).w && input(0).c == input(1).c,
            "adds values of different extents");
    require(node().type.is_codes == input(0).type.is_codes && node().type.is_codes == input(1).type.is_codes,
            "mixes codes and floats");
    if (!node().type.is_codes) return;
    // Both products have to be finite, or their sum could be ∞ − ∞.
    for (std::size_t i = 0; i < 2; ++i)
      require(std::isfinite(input(i).type.grid.step() / node().type.grid.step() * 255.0f),
              "has a multiplier that is too large");
  }

  void check_concat() const {
    std::int64_t channels = 0;
    for (std::size_t i = 0; i < node().inputs.size(); ++i) {
      require(input(i).h == node().h && input(i).w == node().w && same_type(input(i)),
              "joins values of different extent or type");
      channels += input(i).c;
    }
    require(channels == node().c, "has channels other than its inputs'");
  }

  void check_pool() const {
    check_geometry();
    require(node().geometry.k == node().geometry.c, "changes the channels");
    require(node().type.is_codes == input().type.is_codes, "mixes codes and floats");
    require(node().op == OpKind::avg_pool || same_type(input()), "changes the grid of a maximum");
    if (!node().type.is_codes) return;
    require(std::isfinite(input().type.grid.step() / node().type.grid.step()), "has a multiplier that is not finite");
    const kernels::ConvGeometry& g = node().geometry;
    require(node().op == OpKind::max_pool || std::min(g.r, g.h) * std::min(g.s, g.w) <= kMostPooled,
            "can overflow its sum");
  }

  const Graph& graph_;
  std::size_t at_ = 0;
  std::set<std::string> names_;
};

}  // namespace

void validate(const Graph& graph) { Checker(graph).run(); }

}  // namespace octet::engine
