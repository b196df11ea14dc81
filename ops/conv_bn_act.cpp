// conv_bn_act() in its two forms, and the choice between them.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "core/bf16.h"
#include "kernels/conv2d_bn/conv2d_bn.h"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"
#include "ops/batchnorm.h"
#include "ops/conv_common.h"
#include "ops/fake_quant.h"

namespace octet::ops {
namespace {

using kernels::ConvBnPointers;
using kernels::ConvBnProblem;
using kernels::ConvBnRow;

constexpr const char* kOp = "conv_bn_act";

Fusion fusion_of_environment() {
  const char* text = std::getenv("OCTET_FUSE");
  const std::string_view wanted = text == nullptr ? "integers" : text;
  if (wanted == "integers") return Fusion::integers;
  if (wanted == "floats") return Fusion::floats;
  if (wanted == "off") return Fusion::off;
  fail("OCTET_FUSE", fmt::format("'{}' is none of its values", wanted), "known: off, floats, integers");
}

std::atomic<Fusion>& fusion_switch() {
  static std::atomic<Fusion> value{fusion_of_environment()};
  return value;
}

std::atomic<Precision>& precision_switch() {
  static std::atomic<Precision> value{Precision::f32};
  return value;
}

/// The rooms of one kind of convolution: its fused passes, and the plain ones that they stand for.
struct Rooms {
  std::span<const ConvBnRow> rows;
  const char *op, *fwd, *bwd;
  const char* plain[3];
};

Rooms rooms_of(bool depthwise) {
  if (depthwise)
    return {kernels::dwconv2d_bn_rows(),
            "dwconv2d_bn",
            "dwconv2d_bn_fwd",
            "dwconv2d_bn_bwd",
            {"dwconv2d_fwd", "dwconv2d_bwd_data", "dwconv2d_bwd_weight"}};
  return {kernels::conv2d_bn_rows(),
          "conv2d_bn",
          "conv2d_bn_fwd",
          "conv2d_bn_bwd",
          {"conv2d_fwd", "conv2d_bwd_data", "conv2d_bwd_weight"}};
}

/// The row that runs, unless it would be the reference on a processor that can do better: the plain passes have vector
/// rows for everything.
const ConvBnRow* fast_row(const Rooms& rooms, const char* pass, const char* dtypes, const ConvBnProblem& problem,
                          Device device) {
  const ConvBnRow* row = kernels::find_row(rooms.rows, pass, dtypes, problem, device);
  if (device != Device::cpu) return row;
  if (row == nullptr || !kernels::same_text(row->impl, "reference") || usable_isa() == Isa::reference) return row;
  return kernels::forced_impl(pass) == "reference" ? row : nullptr;
}

/// A convolution that the fused rooms take, and the rows that run it.
struct Plan {
  ConvBnProblem problem;
  const char* op = nullptr;
  const ConvBnRow *fwd = nullptr, *bwd = nullptr;
  bool integers = false;
  explicit operator bool() const { return fwd != nullptr && bwd != nullptr; }
};

/// Can the fused rooms apply this quantizer?
bool is_plain_grid(const QuantParams& grid) { return grid.rule == QuantRule::onnx && !grid.per_channel(); }

/// "u8s8" or "s8s8" when source and weight are codes whose sums of products fit int32, else null.
const char* integer_dtypes(const ConvBnProblem& p, const ConvBnActArgs& args) {
  if (fusion() != Fusion::integers || !args.weight_codes || !p.quantized || args.depthwise) return nullptr;
  if (!p.geometry.is_pointwise()) return nullptr;  // what vector rows take: all give the same bits
  const bool is_unsigned = p.hi > 127;
  if (p.lo < (is_unsigned ? 0 : -128) || p.hi > 255) return nullptr;
  const std::int64_t largest = std::max(p.hi - p.zero_point, p.zero_point - p.lo);
  const QuantParams& w = args.weight_codes->params;
  if (p.geometry.c * largest * std::max(w.hi, -w.lo) > std::int64_t{INT32_MAX}) return nullptr;
  return is_unsigned ? "u8s8" : "s8s8";
}

/// The row for operands in the precision that is set, where there is one.
const ConvBnRow* float_row(const Rooms& rooms, const char* pass, const ConvBnProblem& p, Device device) {
  const ConvBnRow* row = nullptr;
  if (precision() == Precision::bf16 && grad_enabled()) row = fast_row(rooms, pass, "bf16", p, device);
  return row != nullptr ? row : fast_row(rooms, pass, "f32", p, device);
}

/// How the fused rooms would convolve src; only the shape of src.z is read.
Plan plan_of(const Rooms& rooms, const Deferred& src, const kernels::ConvGeometry& geometry,
             const ConvBnActArgs& args) {
  Plan plan;
  ConvBnProblem& p = plan.problem;
  p.geometry = geometry, p.mapped = src.affine.defined(), p.act = src.act;
  if (src.quant && !is_plain_grid(*src.quant)) return plan;
  if (src.quant) {
    p.quantized = true, p.masked = src.masked;
    p.zero_point = src.quant->zero_point, p.lo = src.quant->lo, p.hi = src.quant->hi;
  }
  plan.op = rooms.op;
  const Device device = src.z.value().device();
  if (const char* dtypes = integer_dtypes(p, args)) plan.fwd = fast_row(rooms, rooms.fwd, dtypes, p, device);
  plan.integers = plan.fwd != nullptr;
  if (!plan.integers) plan.fwd = float_row(rooms, rooms.fwd, p, device);
  plan.bwd = float_row(rooms, rooms.bwd, p, device);
  return plan;
}

bool may_fuse(const Rooms& rooms, const Deferred& src) {
  if (fusion() == Fusion::off || RecordGuard::active() || src.z.value().dtype() != DType::f32) return false;
  // Who forces a vendor's plain row wants to see that row run.
  return std::none_of(std::begin(rooms.plain), std::end(rooms.plain),
                      [](const char* pass) { return kernels::is_vendor(kernels::forced_impl(pass).c_str()); });
}

const float* floats(const Tensor& t) { return static_cast<const float*>(t.raw()); }
float* floats(Tensor& t) { return static_cast<float*>(t.raw()); }

/// What the backward pass of a fused convolution reads.
struct Fused {
  ConvBnProblem problem;
  const ConvBnRow* row = nullptr;
  Tensor src, affine, weight, z;
  float step = 1;
  Tensor scale;  ///< on a device instead of step
  Tensor x;      ///< on a device: src behind the map, kept from the forward pass for the backward one
  std::shared_ptr<LateGradient> late, late_of_src;  ///< of z, which it adds; of src, which it announces itself to

  ConvBnPointers operands() const {
    ConvBnPointers io;
    io.src = floats(src), io.step = step, io.weight = floats(weight);
    if (scale.defined()) io.step_at = floats(scale);
    if (Tensor kept = x; kept.defined()) io.x = floats(kept);
    if (affine.defined()) io.scale = floats(affine), io.shift = io.scale + problem.geometry.c;
    return io;
  }

  /// Gradients of {src.z[, src.affine], weight}.
  std::vector<Tensor> backward(const Tensor& d_dst, const std::vector<bool>& needs) const {
    std::vector<Tensor> grads(needs.size());
    ConvBnPointers io = operands();
    io.d_dst = floats(d_dst), io.z_dst = floats(z);
    if (late->slope.defined()) io.slope = floats(late->slope), io.offset = floats(late->offset);
    if (needs.back()) grads.back() = detail::empty_like(weight), io.d_weight = floats(grads.back());
    const bool needs_affine = affine.defined() && needs[1];
    if (needs[0] || needs_affine) grads[0] = detail::empty_like(src), io.d_src = floats(grads[0]);
    if (io.d_src != nullptr && affine.defined()) {
      grads[1] = detail::empty_like(affine);
      io.d_scale = floats(grads[1]), io.d_shift = io.d_scale + problem.geometry.c;
    }
    kernels::run_row(*row, problem, io, detail::context_of(z));
    if (needs[0] && late_of_src != nullptr) late_of_src->reached = true;
    return grads;
  }
};

void check_operands(const Deferred& src, const Variable& weight, const ConvBnActArgs& args) {
  if (src.affine.defined()) detail::check_like(kOp, "affine", src.affine, src.z.value(), Shape{2, src.z.shape()[3]});
  if (src.quant && !src.scale.defined()) detail::checked_grid(kOp, src.z.value(), *src.quant);
  if (!args.weight_codes) return;
  const WeightCodes& w = *args.weight_codes;
  const auto scales = static_cast<std::int64_t>(w.params.scale.size());
  OCTET_CHECK(w.codes.defined() && w.codes.dtype() == DType::s8 && w.codes.shape() == weight.shape(), kOp,
              "weight codes must be s8 {}", weight.shape().str());
  OCTET_CHECK(w.params.rule == QuantRule::onnx && w.params.zero_point == 0 && w.params.lo >= -128 &&
                  w.params.hi <= 127 && (scales == 1 || scales == weight.shape()[0]),
              kOp, "weight codes must be symmetric, with one step or one per filter ({})", w.params.str());
}

/// fl(step of the source · step of the weight) per filter.
Tensor multipliers(float step, const WeightCodes& weight, std::int64_t filters) {
  Tensor all(Shape{filters});
  const std::vector<float>& scale = weight.params.scale;
  for (std::int64_t k = 0; k < filters; ++k)
    all.data<float>()[k] = step * scale[scale.size() == 1 ? 0 : static_cast<std::size_t>(k)];
  return all;
}

/// Runs the forward row of `plan`; `dst` gets z and its extremes.
void run_forward(const Plan& plan, const Fused& fused, const ConvBnActArgs& args, detail::Statistics& batch,
                 Deferred& dst) {
  const std::int64_t k = plan.problem.geometry.k;
  ConvBnPointers io = fused.operands();
  Tensor z = fused.z;
  io.dst = floats(z);
  const auto numbers = [&] { return detail::empty_like(z, Shape{k}); };
  if (args.training) {
    batch = {numbers(), numbers()};
    io.mean = floats(batch.mean), io.variance = floats(batch.variance);
  }
  if (args.wants_range) {
    dst.low = numbers(), dst.high = numbers();
    io.low = floats(dst.low), io.high = floats(dst.high);
  }
  Tensor multiplier;
  if (plan.integers) {
    multiplier = multipliers(fused.step, *args.weight_codes, k);
    io.weight_codes = args.weight_codes->codes.data<std::int8_t>(), io.multiplier = multiplier.data<float>();
  }
  kernels::run_row(*plan.fwd, plan.problem, io, detail::context_of(z));
}

Deferred fused_form(const Plan& plan, const Deferred& src, const Variable& weight, const Variable& gamma,
                    const Variable& beta, BatchNormState& state, const ConvBnActArgs& args) {
  check_operands(src, weight, args);
  const kernels::ConvGeometry& g = plan.problem.geometry;
  Fused fused;
  fused.problem = plan.problem, fused.row = plan.bwd;
  fused.src = src.z.value(), fused.weight = weight.value();
  if (src.affine.defined()) fused.affine = src.affine.value();
  fused.scale = src.scale;
  if (src.quant && !src.scale.defined()) fused.step = src.quant->step();
  const bool has_map = src.affine.defined() || src.act != Activation::none || src.quant;
  if (has_map && fused.src.device() != Device::cpu) fused.x = detail::empty_like(fused.src);
  fused.z = detail::empty_like(fused.src, Shape{g.n, g.out_h(), g.out_w(), g.k});
  fused.late = std::make_shared<LateGradient>(), fused.late_of_src = src.late;

  Deferred dst;
  detail::Statistics batch;
  run_forward(plan, fused, args, batch, dst);
  std::vector<Variable> inputs{src.z};
  if (src.affine.defined()) inputs.push_back(src.affine);
  inputs.push_back(weight);
  dst.late = fused.late;
  const Tensor z = fused.z;
  // Tracing takes the decomposed form: attributes would have no reader.
  dst.z = record(plan.op, {}, std::move(inputs), z,
                 [fused = std::move(fused)](const Tensor& d_dst, const std::vector<bool>& needs) {
                   return fused.backward(d_dst, needs);
                 });
  dst.affine = detail::affine_of(dst.z, gamma, beta, state, args.training, args.folded, batch, dst.late);
  return dst;
}

Deferred decomposed_form(const Deferred& src, const Variable& weight, const Variable& gamma, const Variable& beta,
                         BatchNormState& state, const ConvBnActArgs& args) {
  const Variable x = materialise(src);
  Deferred dst;
  dst.z = args.depthwise ? dwconv2d(x, weight, {}, args.conv) : conv2d(x, weight, {}, args.conv);
  dst.affine = batchnorm_affine(dst.z, gamma, beta, state, args.training, args.folded);
  return dst;
}

Deferred convolve_deferred(const Deferred& src, const Variable& weight, const Variable& gamma, const Variable& beta,
                           BatchNormState& state, const ConvBnActArgs& args) {
  const Rooms rooms = rooms_of(args.depthwise);
  if (may_fuse(rooms, src)) {
    const kernels::ConvGeometry geometry = detail::checked_convolution(src.z, weight, args.conv, args.depthwise);
    if (const Plan plan = plan_of(rooms, src, geometry, args))
      return fused_form(plan, src, weight, gamma, beta, state, args);
    Deferred plain;
    plain.z = src.z;
    if (const Plan plan = plan_of(rooms, plain, geometry, args)) {
      plain.z = materialise(src);
      return fused_form(plan, plain, weight, gamma, beta, state, args);
    }
  }
  return decomposed_form(src, weight, gamma, beta, state, args);
}

}  // namespace

void set_fusion(Fusion fusion) { fusion_switch() = fusion; }
Fusion fusion() { return fusion_switch(); }

void set_precision(Precision precision, Device where) {
  const bool can = where != Device::cpu || can_dot_bf16() || usable_isa() == Isa::reference;
  if (precision == Precision::bf16 && !can)
    fail("precision", "this processor, or OCTET_ISA, has no dot product of bf16 (AVX512_BF16)", "stay with f32");
  precision_switch() = precision;
}
Precision precision() { return precision_switch(); }

Deferred conv_bn_act(const Deferred& src, const Variable& weight, const Variable& gamma, const Variable& beta,
                     BatchNormState& state, const ConvBnActArgs& args) {
  OCTET_CHECK(src.z.defined(), kOp, "there is no source to convolve");
  Deferred dst = convolve_deferred(src, weight, gamma, beta, state, args);
  if (args.on_affine) dst.affine = args.on_affine(dst.affine);
  dst.act = args.act;
  return dst;
}

}  // namespace octet::ops
