#include "quant/training/batch_norm_statistics.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "core/diverged.h"

namespace octet::quant {
namespace {

/// Those that have statistics.
std::vector<nn::BatchNorm2d*> batch_norms(const nn::Module& model) {
  std::vector<nn::BatchNorm2d*> all;
  for (const auto& [path, module] : model.named_modules())
    if (auto* bn = dynamic_cast<nn::BatchNorm2d*>(module); bn != nullptr && !bn->folded()) all.push_back(bn);
  return all;
}

void write(Tensor to, const std::vector<double>& values) {
  std::vector<float> rounded(values.begin(), values.end());
  to.copy_from(Tensor::from(to.shape(), rounded));
}

/// One batch norm, which leaves the statistics of each batch where its running ones are, and the sums of those.
class Collector {
 public:
  explicit Collector(nn::BatchNorm2d& bn)
      : bn_(bn),
        momentum_(bn.state.momentum),
        unbiased_(bn.state.unbiased),
        frozen_(bn.statistics_frozen()),
        mean_(bn.state.running_mean.clone()),
        variance_(bn.state.running_var.clone()),
        means_(static_cast<std::size_t>(mean_.numel())),
        squares_(means_.size()) {
    bn.state.momentum = 0, bn.state.unbiased = false;
    bn.freeze_statistics(false);
    bn.train();
  }
  ~Collector() {
    bn_.state.momentum = momentum_, bn_.state.unbiased = unbiased_;
    bn_.freeze_statistics(frozen_);
  }
  Collector(const Collector&) = delete;

  /// The next batch is multiplied by the weights that the ones before were, where they have this batch norm's scale.
  void add_batch(double pictures) {
    const Tensor mean = bn_.state.running_mean.to(Device::cpu), variance = bn_.state.running_var.to(Device::cpu);
    for (std::size_t c = 0; c < means_.size(); ++c) {
      const double m = mean.data<float>()[c];
      means_[c] += pictures * m, squares_[c] += pictures * (variance.data<float>()[c] + m * m);
    }
    put_back();
  }
  void put_back() {
    bn_.state.running_mean.copy_from(mean_);
    bn_.state.running_var.copy_from(variance_);
  }
  void finish(double pictures) {
    for (std::size_t c = 0; c < means_.size(); ++c) {
      means_[c] /= pictures;
      squares_[c] = std::max(squares_[c] / pictures - means_[c] * means_[c], 0.0);
      if (!std::isfinite(means_[c]) || !std::isfinite(squares_[c]))
        diverged("batch norm", fmt::format("the statistics of channel {} are {} and {}", c, means_[c], squares_[c]));
    }
    write(bn_.state.running_mean, means_);
    write(bn_.state.running_var, squares_);
  }

 private:
  nn::BatchNorm2d& bn_;
  double momentum_;
  bool unbiased_, frozen_;
  Tensor mean_, variance_;
  std::vector<double> means_, squares_;
};

}  // namespace

FrozenStatistics::FrozenStatistics(nn::Module& model, std::int64_t epoch) : epoch_(epoch) {
  for (nn::BatchNorm2d* bn : batch_norms(model))
    if (!bn->statistics_frozen()) thawed_.push_back(bn);
}

bool FrozenStatistics::begin_epoch(std::int64_t epoch) {
  if (frozen_ || epoch < epoch_) return false;
  for (nn::BatchNorm2d* bn : thawed_) bn->freeze_statistics(true);
  return frozen_ = true;
}

void FrozenStatistics::end_fit() {
  if (std::exchange(frozen_, false))
    for (nn::BatchNorm2d* bn : thawed_) bn->freeze_statistics(false);
}

void reestimate_statistics(nn::Module& model, const data::Dataset& dataset, const ReestimateOptions& options,
                           const std::function<void(std::int64_t, std::int64_t)>& progress) {
  OCTET_CHECK(options.batches >= 1, "batch norm", "{} batches give no statistics", options.batches);
  const std::vector<nn::BatchNorm2d*> all = batch_norms(model);
  OCTET_CHECK(!all.empty(), "batch norm", "the model has no batch norms whose statistics could be taken anew");
  const data::Loader loader(dataset, options.loader);
  const std::int64_t batches = std::min(options.batches, loader.batches_per_epoch());
  const nn::EvaluationMode evaluation(model);  // dropout, observers
  const NoGrad no_grad;
  std::vector<std::unique_ptr<Collector>> collectors;
  for (nn::BatchNorm2d* bn : all) collectors.push_back(std::make_unique<Collector>(*bn));
  try {
    double pictures = 0;
    for (std::int64_t i = 0; i < batches; ++i) {
      const data::Batch batch = loader.make(options.epoch, i);
      model(Variable(batch.images.to(model.device())));
      for (const auto& collector : collectors) collector->add_batch(static_cast<double>(batch.size()));
      pictures += static_cast<double>(batch.size());
      if (progress) progress(i + 1, batches);
    }
    for (const auto& collector : collectors) collector->finish(pictures);
  } catch (...) {
    for (const auto& collector : collectors) collector->put_back();
    throw;
  }
}

}  // namespace octet::quant
