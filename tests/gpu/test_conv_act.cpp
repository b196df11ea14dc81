// Convolutions of f32 inference on the device beside the reference: bias and activation in the store.
#include "kernels/conv2d_act/conv2d_act.h"
#include "kernels/dwconv2d_act/dwconv2d_act.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using Floats = std::vector<float>;

class GpuConvAct : public test::OnDevice {};

ConvGeometry geometry(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, std::int64_t k,
                      std::int64_t window, std::int64_t stride, std::int64_t pad) {
  return {n, h, w, c, k, window, window, stride, stride, pad, pad};
}

/// The room's row there beside the reference; `weight` as the room packs it.
template <class Problem, class Pointers>
void expect_row(std::span<const Row<Problem, Pointers>> rows, const char* pass, const ConvGeometry& g,
                const Floats& weight, bool exact) {
  for (const Activation act : {Activation::none, Activation::relu, Activation::relu6})
    for (const bool has_bias : {true, false}) {
      const Problem p{g, act};
      const Floats src = hostile::random_values(g.n * g.h * g.w * g.c, 3, -4, 4), bias = hostile::random_values(g.k, 4);
      Floats wanted(static_cast<std::size_t>(g.out_pixels() * g.k));
      test::reference_row(rows, pass, "f32")
          .run(p, {src.data(), weight.data(), has_bias ? bias.data() : nullptr, wanted.data()}, {});
      Buffer<float> src_there(src), weight_there(weight), bias_there(bias), dst(wanted.size());
      const auto* row = test::device_row(rows, pass, "f32", p);
      ASSERT_NE(row, nullptr);
      row->run(p, {src_there, weight_there, has_bias ? bias_there.data() : nullptr, dst}, context_of(Device::cuda));
      const double terms = static_cast<double>(g.r * g.s * g.c);
      exact ? test::expect_same(wanted, dst.values(), p.str())
            : test::expect_near(wanted, dst.values(), 4e-6 * terms, p.str());
    }
}

TEST_F(GpuConvAct, Convolutions) {
  for (const ConvGeometry& g :
       {geometry(1, 1, 1, 1, 1, 1, 1, 0), geometry(2, 5, 3, 8, 40, 1, 1, 0), geometry(3, 4, 4, 5, 33, 1, 1, 0),
        geometry(2, 7, 6, 3, 16, 3, 2, 1), geometry(1, 4, 4, 512, 64, 1, 1, 0), geometry(2, 5, 5, 12, 7, 3, 1, 1),
        geometry(2, 6, 6, 4, 8, 1, 2, 0)}) {
    const Floats weight = hostile::random_values(g.k * g.r * g.s * g.c, 1);
    Floats packed(static_cast<std::size_t>(conv2d_act_weight_size(g)));
    conv2d_act_weight(g, weight.data(), packed.data());
    expect_row(conv2d_act_rows(), "conv2d_act_fwd", g, packed, false);
  }
}

TEST_F(GpuConvAct, DepthwiseConvolutionsHaveTheReferencesBits) {
  for (const ConvGeometry& g :
       {geometry(1, 1, 1, 1, 1, 3, 1, 1), geometry(2, 5, 7, 8, 8, 3, 1, 1), geometry(2, 6, 5, 12, 12, 3, 2, 1),
        geometry(1, 9, 9, 5, 5, 5, 1, 2), geometry(3, 4, 4, 36, 36, 1, 1, 0), geometry(1, 3, 3, 132, 132, 3, 1, 0)}) {
    const Floats weight = hostile::random_values(g.c * g.r * g.s, 1);
    Floats taps(weight.size());
    dwconv2d_act_weight(g, weight.data(), taps.data());
    expect_row(dwconv2d_act_rows(), "dwconv2d_act_fwd", g, taps, true);
  }
}

}  // namespace
}  // namespace octet::kernels
