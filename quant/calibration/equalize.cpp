#include "quant/calibration/equalize.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/diverged.h"
#include "quant/deployment/draft.h"

namespace octet::quant {
namespace {

using engine::OpKind;
constexpr const char* kWhere = "equalize";
constexpr double kMoved = 1e-5;
constexpr double kOverRelaxed = 1.5;  // going beyond the balance of a pair brings a chain of pairs into balance sooner
constexpr int kMostSweeps = 10000;
constexpr double kDeviations = 3;  // below the mean lies what is absorbed

/// A value to be equalized and the layers on either side.
struct Scaled {
  nn::Module *maker = nullptr, *reader = nullptr;
  bool relu = false, padded = false;
  EqualizedValue value;
};

/// Follows values from layer to layer through the drafts.
class Finder {
 public:
  explicit Finder(const Drafts& drafts) : drafts_(drafts), readers_(drafts.ops.size()) {
    for (std::size_t i = 0; i < drafts.ops.size(); ++i) {
      for (const int input : drafts.ops[i].node.inputs) readers_[at(input)].push_back(static_cast<int>(i));
      if (drafts.ops[i].node.layer != nullptr) ++uses_[weight_in(*drafts.ops[i].node.layer)];
    }
  }

  std::vector<Scaled> run() const {
    std::vector<Scaled> all;
    for (std::size_t i = 0; i < drafts_.ops.size(); ++i) {
      const PlanNode& maker = drafts_.ops[i].node;
      if (!may_scale(maker)) continue;
      const PlanNode* reader = reader_of(static_cast<int>(i));
      if (reader == nullptr || uses_.at(weight_in(*reader->layer)) != 1) continue;
      const kernels::ConvGeometry& g = reader->geometry;
      Scaled scaled{maker.layer, reader->layer, maker.act == kernels::Activation::relu, g.pad_h > 0 || g.pad_w > 0, {}};
      scaled.value = {maker.name, reader->name, std::vector<double>(static_cast<std::size_t>(maker.c), 1.0), {}};
      all.push_back(std::move(scaled));
    }
    return all;
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  static const Node* weight_in(const nn::Module& layer) { return nn::weight_of(layer).node().get(); }
  bool may_scale(const PlanNode& node) const {
    const bool homogeneous = node.act == kernels::Activation::none || node.act == kernels::Activation::relu;
    return node.layer != nullptr && uses_.at(weight_in(*node.layer)) == 1 && homogeneous &&
           (node.batch_norm == nullptr || node.batch_norm->folded());
  }
  /// The layer that alone reads the value of draft i, pools and flattens passed.
  const PlanNode* reader_of(int i) const {
    while (i != drafts_.output && readers_[at(i)].size() == 1) {
      i = readers_[at(i)][0];
      const PlanNode& node = drafts_.ops[at(i)].node;
      if (node.layer != nullptr) return &node;
      if (node.op != OpKind::max_pool && node.op != OpKind::avg_pool && node.op != OpKind::flatten) break;
    }
    return nullptr;
  }
  const Drafts& drafts_;
  std::vector<std::vector<int>> readers_;
  std::map<const Node*, int> uses_;  ///< how often a weight does
};

/// A weight as a matrix of output by input channels, of its largest |w| over the taps. A depthwise filter reads its own
/// channel alone: one column, which is scaled like the row.
struct Matrix {
  nn::Module* layer = nullptr;
  std::int64_t rows = 0, columns = 0, taps = 0;
  bool depthwise = false;
  std::vector<double> top;
  const std::vector<double>*in = nullptr, *out = nullptr;  ///< scales of the values read and made; null: not equalized

  /// Scales of the value read by column c (of row k) and of the value made by row k.
  double read(std::int64_t k, std::int64_t c) const {
    return in == nullptr ? 1 : (*in)[static_cast<std::size_t>(depthwise ? k : c)];
  }
  double made(std::int64_t k) const { return out == nullptr ? 1 : (*out)[static_cast<std::size_t>(k)]; }
};

/// `channels` of the value read: behind a flatten a linear layer has them for every pixel, channels innermost.
Matrix matrix_of(nn::Module& layer, std::int64_t channels) {
  const auto* conv = dynamic_cast<const nn::Conv2d*>(&layer);
  const Tensor weight = nn::weight_of(layer).value().to(Device::cpu);
  Matrix m;
  m.layer = &layer, m.depthwise = conv != nullptr && conv->options().depthwise;
  m.rows = weight.shape()[0], m.columns = m.depthwise ? 1 : channels;
  m.taps = weight.numel() / (m.rows * m.columns);
  m.top.assign(static_cast<std::size_t>(m.rows * m.columns), 0.0);
  const float* w = weight.data<float>();
  for (std::int64_t i = 0; i < weight.numel(); ++i) {
    if (!std::isfinite(w[i])) diverged(kWhere, fmt::format("a weight of a {} is {}", layer.kind(), w[i]));
    double& top = m.top[static_cast<std::size_t>(i / (m.taps * m.columns) * m.columns + i % m.columns)];
    top = std::max<double>(top, std::fabs(w[i]));
  }
  return m;
}

/// Writes host values where a variable lies.
void write(Variable to, const Tensor& from) { to.value().copy_from(from); }

class Equalizer {
 public:
  explicit Equalizer(std::vector<Scaled> values) : values_(std::move(values)) {
    for (Scaled& scaled : values_) matrix_with(*scaled.reader, channels(scaled)).in = &scaled.value.scale;
    for (Scaled& scaled : values_) matrix_with(*scaled.maker, columns_of(*scaled.maker)).out = &scaled.value.scale;
  }

  std::vector<EqualizedValue> run(ChannelNormals* normals, bool absorbing) {
    for (int sweep = 0; sweep < kMostSweeps && balance_all() > kMoved; ++sweep) {
    }
    for (const auto& [layer, matrix] : matrices_) scale(matrix);
    std::vector<EqualizedValue> all;
    for (Scaled& scaled : values_) {
      if (normals != nullptr && normals->contains(scaled.maker))
        move_normal(scaled, normals->at(scaled.maker), absorbing);
      all.push_back(std::move(scaled.value));
    }
    return all;
  }

 private:
  static std::int64_t channels(const Scaled& scaled) { return static_cast<std::int64_t>(scaled.value.scale.size()); }
  static std::int64_t columns_of(const nn::Module& layer) { return nn::weight_of(layer).shape()[-1]; }
  Matrix& matrix_with(nn::Module& layer, std::int64_t columns) {
    if (!matrices_.contains(&layer)) matrices_[&layer] = matrix_of(layer, columns);
    return matrices_[&layer];
  }

  /// One sweep; the largest |log| of a correction.
  double balance_all() {
    double moved = 0;
    for (Scaled& scaled : values_) {
      const std::vector<double> made = rows_of(matrices_[scaled.maker]),
                                read = columns_of(matrices_[scaled.reader], channels(scaled));
      for (std::size_t c = 0; c < made.size(); ++c) {
        if (!(made[c] > 0 && read[c] > 0)) continue;
        const double s = std::sqrt(made[c] / read[c]);
        scaled.value.scale[c] *= std::pow(s, kOverRelaxed);
        moved = std::max(moved, std::fabs(std::log(s)));
      }
    }
    return moved;
  }

  /// Largest scaled |w| of each row.
  static std::vector<double> rows_of(const Matrix& m) {
    std::vector<double> tops(static_cast<std::size_t>(m.rows), 0.0);
    const double* top = m.top.data();
    for (std::int64_t k = 0; k < m.rows; ++k, top += m.columns) {
      double largest = 0;
      for (std::int64_t c = 0; c < m.columns; ++c) largest = std::max(largest, top[c] * m.read(k, c));
      tops[static_cast<std::size_t>(k)] = largest / m.made(k);
    }
    return tops;
  }
  static std::vector<double> columns_of(const Matrix& m, std::int64_t channels) {
    if (m.depthwise) return rows_of(m);
    std::vector<double> tops(static_cast<std::size_t>(channels), 0.0);
    const double* top = m.top.data();
    for (std::int64_t k = 0; k < m.rows; ++k, top += m.columns) {
      const double shrunk = 1 / m.made(k);
      for (std::int64_t c = 0; c < channels; ++c) {
        double& largest = tops[static_cast<std::size_t>(c)];
        largest = std::max(largest, top[c] * shrunk);
      }
    }
    for (std::int64_t c = 0; c < channels; ++c) tops[static_cast<std::size_t>(c)] *= m.read(0, c);
    return tops;
  }

  static void scale(const Matrix& m) {
    Tensor weight = nn::weight_of(*m.layer).value().to(Device::cpu).clone();
    float* w = weight.data<float>();
    for (std::int64_t k = 0, i = 0; k < m.rows; ++k)
      for (std::int64_t tap = 0; tap < m.taps; ++tap)
        for (std::int64_t c = 0; c < m.columns; ++c, ++i) w[i] = static_cast<float>(w[i] * m.read(k, c) / m.made(k));
    write(nn::weight_of(*m.layer), weight);
    if (const Variable& bias = nn::bias_of(*m.layer); bias.defined()) {
      Tensor scaled = bias.value().to(Device::cpu).clone();
      for (std::int64_t k = 0; k < m.rows; ++k)
        scaled.data<float>()[k] = static_cast<float>(scaled.data<float>()[k] / m.made(k));
      write(bias, scaled);
    }
  }

  void move_normal(Scaled& scaled, ChannelNormal& normal, bool absorbing) {
    const std::vector<double>& s = scaled.value.scale;
    for (std::size_t c = 0; c < s.size(); ++c) normal.mean[c] /= s[c], normal.deviation[c] /= s[c];
    const Variable &made = nn::bias_of(*scaled.maker), &read = nn::bias_of(*scaled.reader);
    if (!absorbing || !scaled.relu || scaled.padded || !made.defined() || !read.defined()) return;
    std::vector<double>& taken = scaled.value.absorbed;
    for (std::size_t c = 0; c < s.size(); ++c) {
      taken.push_back(std::max(0.0, normal.mean[c] - kDeviations * normal.deviation[c]));
      normal.mean[c] -= taken[c];
    }
    Tensor from = made.value().to(Device::cpu).clone();
    for (std::size_t c = 0; c < s.size(); ++c)
      from.data<float>()[c] = static_cast<float>(from.data<float>()[c] - taken[c]);
    write(made, from);
    add_products(matrices_[scaled.reader], taken, read);
  }

  /// bias[k] ← bias[k] + Σ w[k]·x, x per channel.
  static void add_products(const Matrix& m, const std::vector<double>& x, const Variable& bias) {
    Tensor sums = bias.value().to(Device::cpu).clone();
    const Tensor weight = nn::weight_of(*m.layer).value().to(Device::cpu);
    const float* w = weight.data<float>();
    for (std::int64_t k = 0, i = 0; k < m.rows; ++k) {
      double sum = sums.data<float>()[k];
      for (std::int64_t tap = 0; tap < m.taps; ++tap)
        for (std::int64_t c = 0; c < m.columns; ++c, ++i)
          sum += w[i] * x[static_cast<std::size_t>(m.depthwise ? k : c)];
      sums.data<float>()[k] = static_cast<float>(sum);
    }
    write(bias, sums);
  }

  std::vector<Scaled> values_;
  std::map<nn::Module*, Matrix> matrices_;
};

}  // namespace

std::vector<EqualizedValue> equalize(nn::Module& model, const Shape& shape, ChannelNormals* normals, bool absorb) {
  std::vector<Scaled> values = Finder(draft(nn::trace(model, shape))).run();
  if (values.empty())
    fail(kWhere,
         "no value flows from one layer into one other alone through ReLU or nothing: there is nothing to balance",
         "leave equalize off for this net");
  return Equalizer(std::move(values)).run(normals, absorb);
}

}  // namespace octet::quant
