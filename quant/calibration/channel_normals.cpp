#include "quant/calibration/channel_normals.h"

#include <cmath>
#include <numbers>

#include "nn/layers.h"
#include "quant/deployment/value_classes.h"
#include "quant/observers/observer.h"

namespace octet::quant {
namespace {

double density(double z) { return std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi); }
double below(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

ChannelNormal normal_of(const nn::BatchNorm2d& batch_norm) {
  ChannelNormal normal;
  for (const float beta : values_of(batch_norm.beta.value())) normal.mean.push_back(beta);
  for (const float gamma : values_of(batch_norm.gamma.value())) normal.deviation.push_back(std::fabs(gamma));
  return normal;
}

}  // namespace

ChannelNormals channel_normals(const nn::Graph& graph) {
  const auto readers = value_readers(graph);
  ChannelNormals normals;
  for (const nn::GraphNode& node : graph.nodes) {
    if (node.op != "affine_act") continue;
    const auto before = static_cast<std::size_t>(node.inputs.at(0)),
               affine = static_cast<std::size_t>(node.inputs.at(1));
    const auto* batch_norm = dynamic_cast<const nn::BatchNorm2d*>(graph.nodes[affine].module);
    if (batch_norm == nullptr || readers[before].size() != 1) continue;
    normals[graph.nodes[before].module] = normal_of(*batch_norm);
  }
  return normals;
}

double clipped_normal_mean(double mean, double deviation, double lo, double hi) {
  if (!(deviation > 0)) return std::min(std::max(mean, lo), hi);
  const double a = (lo - mean) / deviation, b = (hi - mean) / deviation;
  const double inside = mean * (below(b) - below(a)) + deviation * (density(a) - density(b));
  const double above = std::isinf(hi) ? 0 : hi * below(-b);
  return lo * below(a) + inside + above;
}

}  // namespace octet::quant
