// Fake quantization, its gradients and its observers over vectors; included by avx2.cpp and avx512.cpp after their
// vector types.
#include "core/allocator.h"
#include "kernels/fake_quant/codes_vector.inl"

namespace octet::kernels {
namespace {

void fake_quant_fwd(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  const float* src = floats(x.src);
  float* dst = floats(x.dst);
  with_grid(p, [&](auto tag) {
    for_row_blocks(p.channels, p.inner, kBlock,
                   [&](std::int64_t c, std::int64_t, std::int64_t begin, std::int64_t end) {
                     const typename decltype(tag)::type grid(p, x.scale[c]);
                     for_vectors(c * p.inner + begin, c * p.inner + end, [=](std::int64_t i, auto part) {
                       store(grid.value(grid.code(load(src + i, part))), dst + i, part);
                     });
                   });
  });
}

/// The arrays of one chunk of one channel.
struct Chunk {
  const float *src, *d_dst;
  float* d_src;
  std::int64_t length;
};

/// Which gradients pass: all, those inside, or those inside scaled by delta, the others as `masked` says.
enum class Passing { all, inside, scaled };

/// Gradients of the elements from i on; adds d_dst · slope to the sums when `learned`.
template <Passing passing, bool learned, class Grid>
struct GradientTerm {
  const Grid& grid;
  const Chunk& a;
  VecF delta;   ///< of scaled
  bool masked;  ///< with scaled: do gradients outside stop?
  template <class Lanes>
  OCTET_SIMD void operator()(std::int64_t i, Lanes part, VecD& low, VecD& high) const {
    const VecF x = load(a.src + i, part), d = load(a.d_dst + i, part);
    const VecF t = grid.position(x);
    if (learned) {
      VecF slope = grid.place(grid.code_at(x, t)) - t;
      slope = select(t < grid.lo, grid.lo, select(t > grid.hi, grid.hi, slope));
      slope = select(is_nan(t), VecF::zero(), slope);
      low = fma(widen_low(d), widen_low(slope), low);
      high = fma(widen_high(d), widen_high(slope), high);
    }
    VecF passed = d;
    if (passing == Passing::inside) passed = select((t >= grid.lo) & (t <= grid.hi), d, VecF::zero());
    if (passing == Passing::scaled) {
      const VecF change = delta * abs(d) * grid.distance(t, grid.code_at(x, t));
      passed = select((t >= grid.lo) & (t <= grid.hi), d + change, masked ? VecF::zero() : d);
    }
    store(passed, a.d_src + i, part);
  }
};

/// Adds d_dst of the elements from i on that the grid clips.
template <class Grid>
struct ClippedTerm {
  const Grid& grid;
  const Chunk& a;
  template <class Lanes>
  OCTET_SIMD void operator()(std::int64_t i, Lanes part, VecD& low, VecD& high) const {
    const VecF t = grid.position(load(a.src + i, part)), d = load(a.d_dst + i, part);
    const VecF clipped = select((t < grid.lo) | (t > grid.hi), d, VecF::zero());
    low = low + widen_low(clipped);
    high = high + widen_high(clipped);
  }
};

/// Adds the squared errors of the elements from i on, on a grid of this step up to code `top`.
struct ErrorTerm {
  const float* src;
  VecF step, top;
  template <class Lanes>
  OCTET_SIMD void operator()(std::int64_t i, Lanes part, VecD& low, VecD& high) const {
    const VecF size = abs(load(src + i, part));  // lanes beyond the data are 0 and lose nothing
    const VecF e = size - round_even(min(size / step, top)) * step;
    low = fma(widen_low(e), widen_low(e), low);
    high = fma(widen_high(e), widen_high(e), high);
  }
};

/// term(i, Whole or Part, low, high) for every vector of a chunk; where `wanted`, the sum of what the terms add to the
/// lanes of low and high, in the order that the header fixes.
template <bool wanted, class Term>
double sum_of_lanes(std::int64_t length, Term term) {
  constexpr int kLanes = 16, kVectors = kLanes / VecF::width;
  VecD low[kVectors], high[kVectors];
  for (int k = 0; k < kVectors; ++k) low[k] = high[k] = VecD::zero();
  std::int64_t i = 0;
  for (; i + kLanes <= length; i += kLanes) {
    OCTET_UNROLL
    for (int k = 0; k < kVectors; ++k) term(i + k * VecF::width, Whole{}, low[k], high[k]);
  }
  OCTET_UNROLL
  for (int k = 0; k < kVectors; ++k, i += VecF::width) {
    const std::int64_t rest = length - i;
    if (rest >= VecF::width) {
      term(i, Whole{}, low[k], high[k]);
    } else if (rest > 0) {
      term(i, Part{static_cast<int>(rest)}, low[k], high[k]);
    }
  }
  if (!wanted) return 0;
  double lanes[kLanes];
  for (int k = 0; k < kVectors; ++k) {
    low[k].store(lanes + k * VecF::width);
    high[k].store(lanes + k * VecF::width + VecD::width);
  }
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

/// Gradients within one chunk of one channel; returns the chunk's Σ d_dst · slope when `learned`.
template <Passing passing, bool learned, class Grid>
double chunk_gradients(const FakeQuantProblem& p, const Grid& grid, const Chunk& a) {
  const VecF delta = VecF::set1(static_cast<float>(p.delta));
  return sum_of_lanes<learned>(a.length, GradientTerm<passing, learned, Grid>{grid, a, delta, p.masked});
}

/// of_chunk(Grid of the channel, chunk) for every chunk; where `wanted`, out[channel] is the sum of what they return,
/// in order.
template <class Grid, bool wanted, class OfChunk>
void for_chunks(const FakeQuantProblem& p, const FakeQuantPointers& x, float* out, OfChunk of_chunk) {
  const float *src = floats(x.src), *d_dst = floats(x.d_dst);
  float* d_src = floats(x.d_src);
  const std::int64_t chunk = reduction_chunk(p.inner), chunks = ceil_div(p.inner, chunk);
  const std::size_t bytes = wanted ? static_cast<std::size_t>(p.channels * chunks) * sizeof(double) : 0;
  double* sums = wanted ? static_cast<double*>(scratch_acquire(bytes)) : nullptr;
  for_row_blocks(p.channels, p.inner, chunk, [&](std::int64_t c, std::int64_t k, std::int64_t begin, std::int64_t end) {
    const std::int64_t at = c * p.inner + begin;
    const Chunk arrays{src + at, d_dst + at, d_src == nullptr ? nullptr : d_src + at, end - begin};
    const double sum = of_chunk(Grid(p, x.scale[c]), arrays);
    if (wanted) sums[c * chunks + k] = sum;
  });
  if (!wanted) return;
  for (std::int64_t c = 0; c < p.channels; ++c) {
    double total = 0;
    for (std::int64_t k = 0; k < chunks; ++k) total += sums[c * chunks + k];
    out[c] = static_cast<float>(total);
  }
  scratch_release(sums, bytes);
}

template <class Grid, Passing passing, bool learned>
void gradients(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  for_chunks<Grid, learned>(p, x, floats(x.d_scale), [&](const Grid& grid, const Chunk& a) {
    return chunk_gradients<passing, learned>(p, grid, a);
  });
}

void clipped_sum(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  with_grid(p, [&](auto tag) {
    using Grid = typename decltype(tag)::type;
    for_chunks<Grid, true>(p, x, floats(x.out), [&](const Grid& grid, const Chunk& a) {
      return sum_of_lanes<true>(a.length, ClippedTerm<Grid>{grid, a});
    });
  });
}

void fake_quant_bwd(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  with_grid(p, [&](auto tag) {
    using Grid = typename decltype(tag)::type;
    const bool learned = x.d_scale != nullptr;
    if (static_cast<float>(p.delta) != 0) return gradients<Grid, Passing::scaled, false>(p, x);
    if (p.masked)
      return learned ? gradients<Grid, Passing::inside, true>(p, x) : gradients<Grid, Passing::inside, false>(p, x);
    learned ? gradients<Grid, Passing::all, true>(p, x) : gradients<Grid, Passing::all, false>(p, x);
  });
}

/// The lanes that belong to the data, elsewhere `filler`.
OCTET_SIMD VecF load_filled(const float* p, VecF, Whole) { return VecF::load(p); }
OCTET_SIMD VecF load_filled(const float* p, VecF filler, Part part) {
  constexpr float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  return select(load(ones, part) > VecF::zero(), load(p, part), filler);
}

/// Extremes of a block; `lost` when there is a NaN.
struct Extremes {
  float low, high;
  bool lost;
};

/// Extremes of f(src) of every channel, given to done(channel, Extremes). No order matters in them.
template <class F, class Done>
void extremes(const FakeQuantProblem& p, const float* src, F f, Done done) {
  const std::int64_t blocks = ceil_div(p.inner, kBlock);
  const std::size_t bytes = static_cast<std::size_t>(p.channels * blocks) * sizeof(Extremes);
  Extremes* found = static_cast<Extremes*>(scratch_acquire(bytes));
  for_row_blocks(p.channels, p.inner, kBlock,
                 [&](std::int64_t c, std::int64_t k, std::int64_t begin, std::int64_t end) {
                   const VecF first = VecF::set1(src[c * p.inner + begin]);
                   VecF low = f(first), high = low;
                   MaskF lost = is_nan(low);
                   for_vectors(c * p.inner + begin, c * p.inner + end, [&](std::int64_t i, auto part) {
                     const VecF v = f(load_filled(src + i, first, part));
                     low = min(v, low);
                     high = max(v, high);
                     lost = lost | is_nan(v);
                   });
                   float lows[VecF::width], highs[VecF::width];
                   low.store(lows);
                   high.store(highs);
                   Extremes e{lows[0], highs[0], any(lost)};
                   for (int l = 1; l < VecF::width; ++l) {
                     if (lows[l] < e.low) e.low = lows[l];
                     if (highs[l] > e.high) e.high = highs[l];
                   }
                   found[c * blocks + k] = e;
                 });
  for (std::int64_t c = 0; c < p.channels; ++c) {
    Extremes all{__builtin_inff(), -__builtin_inff(), false};
    for (std::int64_t k = 0; k < blocks; ++k) {
      const Extremes& e = found[c * blocks + k];
      if (e.low < all.low) all.low = e.low;
      if (e.high > all.high) all.high = e.high;
      all.lost = all.lost || e.lost;
    }
    done(c, all);
  }
  scratch_release(found, bytes);
}

void abs_max(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  extremes(
      p, floats(x.src), [](VecF v) { return abs(v); },
      [&](std::int64_t c, const Extremes& e) {
        floats(x.out)[c] = e.lost ? __builtin_nanf("") : (e.high > 0 ? e.high : 0);
      });
}

void min_max(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  extremes(
      p, floats(x.src), [](VecF v) { return v; },
      [&](std::int64_t c, const Extremes& e) {
        floats(x.out)[2 * c] = e.lost ? __builtin_nanf("") : e.low + 0.0f;
        floats(x.out)[2 * c + 1] = e.lost ? __builtin_nanf("") : e.high + 0.0f;
      });
}

// Every threshold of every channel is a task of its own, so that a whole tensor is searched by all threads.
void mse_top(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  abs_max(p, x);
  float* out = floats(x.out);
  const std::int64_t count = p.channels * kMseSteps;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(double);
  double* sums = static_cast<double*>(scratch_acquire(bytes));
  for_rows(count, p.inner, [&](std::int64_t i) {
    const std::int64_t c = i / kMseSteps;
    const float candidate = mse_candidate(out[c], static_cast<int>(i % kMseSteps));
    const VecF step = VecF::set1(grid_scale(QuantRule::onnx, candidate, p.hi)),
               hi = VecF::set1(static_cast<float>(p.hi));
    sums[i] = sum_of_lanes<true>(p.inner, ErrorTerm{floats(x.src) + c * p.inner, step, hi});
  });
  for (std::int64_t c = 0; c < p.channels; ++c) {
    const double* of_channel = sums + c * kMseSteps;
    int best = 0;
    for (int k = 1; k < kMseSteps; ++k) {
      if (of_channel[k] < of_channel[best]) best = k;
    }
    out[c] = out[c] < __builtin_inff() ? mse_candidate(out[c], best) : __builtin_nanf("");
  }
  scratch_release(sums, bytes);
}

/// Largest |x| of a row, NaN when there is one. Four vectors at a time: a maximum waits for the one before.
float largest_of(const float* src, std::int64_t length) {
  VecF top[4] = {VecF::zero(), VecF::zero(), VecF::zero(), VecF::zero()};
  MaskF lost = is_nan(VecF::zero());
  const auto take = [&](std::int64_t i, auto part, int k) {
    const VecF v = load(src + i, part);  // lanes beyond the data are 0
    top[k] = max(abs(v), top[k]);
    lost = lost | is_nan(v);
  };
  std::int64_t i = 0;
  for (; i + 4 * VecF::width <= length; i += 4 * VecF::width) {
    OCTET_UNROLL
    for (int k = 0; k < 4; ++k) take(i + k * VecF::width, Whole{}, k);
  }
  for_vectors(i, length, [&](std::int64_t j, auto part) { take(j, part, 0); });
  if (any(lost)) return __builtin_nanf("");
  float lanes[VecF::width];
  max(max(top[0], top[1]), max(top[2], top[3])).store(lanes);
  for (int l = 1; l < VecF::width; ++l) {
    if (lanes[l] > lanes[0]) lanes[0] = lanes[l];
  }
  return lanes[0];
}

void weight_quant_fwd(const FakeQuantProblem& p, const FakeQuantPointers& x) {
  const float* src = floats(x.src);
  float *dst = floats(x.dst), *scale = floats(x.out);
  std::uint8_t* codes = static_cast<std::uint8_t*>(x.codes);
  with_grid(p, [&](auto tag) {
    for_rows(p.channels, p.inner, [&](std::int64_t c) {
      const std::int64_t begin = c * p.inner, end = begin + p.inner;
      const float s = grid_scale(p.rule, largest_of(src + begin, p.inner), p.hi);
      scale[c] = s;
      const typename decltype(tag)::type grid(p, s);
      for_vectors(begin, end, [=](std::int64_t i, auto part) {
        const VecF code = grid.code(load(src + i, part));
        store(grid.value(code), dst + i, part);
        if (codes != nullptr) store_bytes(to_int_even(code), codes + i, part);
      });
    });
  });
}

}  // namespace

#define ROW(pass, refuses) OCTET_VECTOR_ROW(FakeQuantProblem, FakeQuantPointers, pass, f32, refuses, pass)
ROW(fake_quant_fwd, codes_too_wide)
ROW(fake_quant_bwd, codes_too_wide)
ROW(clipped_sum, codes_too_wide)
ROW(abs_max, takes_all)
ROW(min_max, takes_all)
ROW(mse_top, takes_all)
ROW(weight_quant_fwd, codes_too_wide)
#undef ROW

}  // namespace octet::kernels
