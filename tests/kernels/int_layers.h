// Integer layers with hostile constants, for the tests of conv2d_int8 and dwconv2d_int8.
#pragma once
#include "kernels/dwconv2d_int8/dwconv2d_int8.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels::hostile {

/// How the codes of a layer are drawn. border: largest codes, and weights in pairs whose sum of magnitudes is at or just beyond
/// what s16 holds; narrow: small weights and now and then a large one; paired: largest codes, and weights up to 64, which any pair may be.
enum class Codes { random, largest, alternating, border, narrow, paired };

/// A problem with its constants and its src.
struct IntLayer {
  IntConvProblem problem;
  bool depthwise = false;
  std::vector<std::uint8_t> src;  ///< bit patterns of u8 or s8 codes
  std::vector<std::int8_t> weight;
  std::vector<std::int32_t> bias;
  std::vector<float> multiplier, bias_f32;

  IntConvWeights weights() const { return {weight.data(), bias.data(), multiplier.data(), bias_f32.data()}; }
  std::int64_t taps() const { return problem.geometry.r * problem.geometry.s * (depthwise ? 1 : problem.geometry.c); }
  std::int64_t outputs() const { return problem.geometry.out_pixels() * problem.geometry.k; }
  const char* dtypes() const { return problem.src == DType::s8 ? "s8s8" : "u8s8"; }
};

inline std::uint8_t draw_code(Random& random, const IntConvProblem& p, Codes codes, std::size_t i) {
  const bool is_signed = p.src == DType::s8;
  if (codes == Codes::largest || codes == Codes::border || codes == Codes::paired) return is_signed ? 127 : 255;
  if (codes == Codes::alternating)
    return static_cast<std::uint8_t>(i % 2 == 0 ? (is_signed ? -128 : 0) : (is_signed ? 127 : 255));
  return static_cast<std::uint8_t>(random.below(256));
}

/// Multipliers of every kind: usual ones, powers of two (ties), larger than one, tiny, negative.
inline float draw_multiplier(Random& random, std::int64_t taps) {
  const double usual = 1.0 / (60.0 * std::sqrt(static_cast<double>(taps)) * random.uniform(0.5, 20));
  switch (random.below(8)) {
    case 0:
      return std::ldexp(1.0f, -static_cast<int>(random.below(12)));
    case 1:
      return static_cast<float>(random.uniform(1, 6.5));
    case 2:
      return 1e-30f;
    case 3:
      return static_cast<float>(-usual);
    default:
      return static_cast<float>(usual);
  }
}

/// Product t of filter k.
inline int draw_weight(Random& random, Codes codes, std::int64_t k, std::int64_t t) {
  if (codes == Codes::largest) return k % 2 == 0 ? 127 : -127;
  if (codes == Codes::paired)
    return (random.below(4) != 0 ? 64 : static_cast<int>(random.below(65))) * (k % 2 == 0 ? 1 : -1);
  if (codes == Codes::narrow && random.below(40) != 0) return static_cast<int>(random.below(81)) - 40;
  if (codes != Codes::border) return static_cast<int>(random.below(255)) - 127;
  const int first[] = {64, 127, 1, 100, 65}, second[] = {64, 1, 127, 28, 64};  // the last pair passes 255·128
  const auto kind = static_cast<std::size_t>(k % 3 == 2 && t % 8 < 2 ? 4 : t / 2 % 4);
  const int weight = t % 2 == 0 ? first[kind] : second[kind];
  return k % 2 == 0 ? weight : -weight;
}

inline IntLayer make_int_layer(const IntConvProblem& problem, bool depthwise, std::uint64_t seed,
                               Codes codes = Codes::random) {
  IntLayer layer{problem, depthwise, {}, {}, {}, {}, {}};
  layer.problem.narrow = true;  // every row has to be right for any weights
  if (codes == Codes::paired) layer.problem.largest_weight = 64;
  const ConvGeometry& g = problem.geometry;
  Random random(seed, Purpose::test, 7);
  layer.src.resize(static_cast<std::size_t>(g.n * g.h * g.w * g.c));
  for (std::size_t i = 0; i < layer.src.size(); ++i) layer.src[i] = draw_code(random, problem, codes, i);
  for (std::int64_t k = 0; k < g.k; ++k) {
    for (std::int64_t t = 0; t < layer.taps(); ++t) {
      const int weight = draw_weight(random, codes, k, t);
      layer.weight.push_back(static_cast<std::int8_t>(weight));
    }
    const double range = k % 5 == 4 ? 1073741824.0 : 30000.0;
    layer.bias.push_back(static_cast<std::int32_t>(random.uniform(-range, range)));
    layer.multiplier.push_back(draw_multiplier(random, layer.taps()));
    const double bias = random.uniform(-40, 40);
    layer.bias_f32.push_back(
        static_cast<float>(k % 3 == 0 ? std::floor(bias) + 0.5 : bias));  // ties of the paddle rule
  }
  return layer;
}

/// What the header says, once more in 64 bits and without the rows' code: the accumulator of one output.
inline std::int64_t accumulator(const IntLayer& layer, std::int64_t n, std::int64_t p, std::int64_t q, std::int64_t k) {
  const ConvGeometry& g = layer.problem.geometry;
  std::int64_t sum = layer.bias[static_cast<std::size_t>(k)];
  const std::int64_t first = layer.depthwise ? k : 0, last = layer.depthwise ? k + 1 : g.c;
  for (std::int64_t r = 0; r < g.r; ++r) {
    for (std::int64_t s = 0; s < g.s; ++s) {
      const std::int64_t y = p * g.stride_h - g.pad_h + r, x = q * g.stride_w - g.pad_w + s;
      if (y < 0 || y >= g.h || x < 0 || x >= g.w) continue;
      for (std::int64_t c = first; c < last; ++c) {
        const std::uint8_t bits = layer.src[static_cast<std::size_t>(((n * g.h + y) * g.w + x) * g.c + c)];
        const std::int64_t code = layer.problem.src == DType::s8 ? static_cast<std::int8_t>(bits) : std::int64_t{bits};
        const std::int64_t width = last - first;
        sum += (code - layer.problem.z_x) *
               layer.weight[static_cast<std::size_t>(((k * g.r + r) * g.s + s) * width + c - first)];
      }
    }
  }
  return sum;
}

/// The bytes of dst as `row` computes them, from buffers that end at a page's end, under the current threads.
inline std::vector<std::uint8_t> run_int_layer(const IntConvRow& row, const IntLayer& layer) {
  const std::int64_t bytes = layer.outputs() * (layer.problem.store.dst == DType::f32 ? 4 : 1);
  const PageEnd<std::uint8_t> src(layer.src);
  PageEnd<std::uint8_t> dst(bytes);
  const IntConvPlan plan(row, layer.problem, layer.weights());
  plan.run(src.data(), dst.data());
  EXPECT_TRUE(dst.intact()) << "bytes before dst were overwritten";
  return dst.copy();
}

/// u8 and s8 codes around several zero points, and all stores.
inline std::vector<IntConvProblem> with_stores(const ConvGeometry& geometry) {
  std::vector<IntConvProblem> problems;
  const IntStore stores[] = {{DType::u8, QuantRule::onnx, 0, 0, 255, Activation::none},
                             {DType::s8, QuantRule::onnx, -3, -128, 127, Activation::none},
                             {DType::u8, QuantRule::onnx, 7, 7, 97, Activation::none},
                             {DType::s8, QuantRule::paddle, 0, -127, 127, Activation::none},
                             {DType::s8, QuantRule::paddle, 0, 0, 127, Activation::none},
                             {DType::f32, QuantRule::onnx, 0, 0, 0, Activation::none},
                             {DType::f32, QuantRule::onnx, 0, 0, 0, Activation::relu},
                             {DType::f32, QuantRule::onnx, 0, 0, 0, Activation::relu6}};
  int i = 0;
  for (const IntStore& store : stores) {
    const bool is_signed = i++ % 2 == 1;
    problems.push_back({geometry, is_signed ? DType::s8 : DType::u8, is_signed ? -5 : 0, store});
    problems.push_back({geometry, is_signed ? DType::u8 : DType::s8, is_signed ? 128 : 0, store});
  }
  return problems;
}

/// All own rows of `rows` against the reference for one layer, threads 1 to 3; `some`: those that take it.
inline void expect_rows_equal(std::span<const IntConvRow> rows, const char* pass, const IntLayer& layer,
                              bool some = false) {
  SCOPED_TRACE(layer.problem.str());
  const std::vector<std::uint8_t> wanted = run_int_layer(reference_row(rows, pass, layer.dtypes()), layer);
  for_own_rows(rows, pass, layer.dtypes(), [&](const IntConvRow& row) {
    if (some && row.why_not(layer.problem) != nullptr) return;
    ASSERT_EQ(row.why_not(layer.problem), nullptr);
    for_threads([&] { EXPECT_TRUE(same_bits(wanted, run_int_layer(row, layer))); });
  });
}

/// The vendor rows that accept the layer against the reference; how many did.
inline int expect_vendor_rows_equal(std::span<const IntConvRow> rows, std::span<const IntConvRow> vendor,
                                    const char* pass, const IntLayer& layer) {
  SCOPED_TRACE(layer.problem.str());
  int accepted = 0;
  for (const IntConvRow& row : vendor) {
    if (!same_text(row.dtypes, layer.dtypes()) || row.why_not(layer.problem) != nullptr) continue;
    ++accepted;
    EXPECT_TRUE(same_bits(run_int_layer(reference_row(rows, pass, layer.dtypes()), layer), run_int_layer(row, layer)));
  }
  return accepted;
}

/// The reference row against accumulator() and qmath.
inline void expect_reference_true(std::span<const IntConvRow> rows, const char* pass, const IntLayer& layer) {
  SCOPED_TRACE(layer.problem.str());
  const std::vector<std::uint8_t> got = run_int_layer(reference_row(rows, pass, layer.dtypes()), layer);
  const ConvGeometry& g = layer.problem.geometry;
  const IntStore& store = layer.problem.store;
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < g.n; ++n) {
    for (std::int64_t p = 0; p < g.out_h(); ++p) {
      for (std::int64_t q = 0; q < g.out_w(); ++q) {
        for (std::int64_t k = 0; k < g.k; ++k, ++i) {
          const auto a = static_cast<std::int32_t>(static_cast<std::uint32_t>(accumulator(layer, n, p, q, k)));
          const float m = layer.multiplier[static_cast<std::size_t>(k)],
                      b = layer.bias_f32[static_cast<std::size_t>(k)];
          if (store.dst == DType::f32) {
            const float product = static_cast<float>(a) * m;
            float t = product + b, stored;
            if (store.act != Activation::none && t < 0) t = 0;
            if (store.act == Activation::relu6 && t > 6) t = 6;
            std::memcpy(&stored, got.data() + 4 * i, 4);
            ASSERT_EQ(t, stored) << i;
          } else {
            const std::int32_t code = store.rule == QuantRule::onnx
                                          ? qmath::requantize(a, m, store.z, store.lo, store.hi)
                                          : qmath::requantize_paddle(a, m, b, store.lo, store.hi);
            ASSERT_EQ(static_cast<std::uint8_t>(code), got[static_cast<std::size_t>(i)]) << i;
          }
        }
      }
    }
  }
}

}  // namespace octet::kernels::hostile
