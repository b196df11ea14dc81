#include "optim/device_steps.h"

#include "core/log.h"
#include "core/profile.h"
#include "kernels/score/score.h"
#include "ops/ops.h"

namespace octet::optim {

using profile::Kind;
using profile::Span;

namespace {
// Quantizers start from what they see first.
constexpr int kMostCopyingSteps = 3;
}  // namespace

DeviceSteps::DeviceSteps(nn::Module& model, Momentum& optimizer, Method& methods, const data::Dataset& dataset,
                         const data::LoaderOptions& options, double label_smoothing)
    : model_(model),
      optimizer_(optimizer),
      methods_(methods),
      dataset_(dataset),
      batches_(dataset, options, model.device()),
      label_smoothing_(label_smoothing),
      sums_(Tensor::zeros({std::int64_t{sizeof(kernels::ScoreSums)}}, DType::u8, model.device())) {
  optimizer_.begin_quantizing(model);
}

void DeviceSteps::start(std::uint64_t epoch, std::int64_t first_batch, const Scores& so_far) {
  batches_.start(epoch, first_batch);
  kernels::ScoreSums sums;
  sums.loss_sum = so_far.loss_sum, sums.pictures = so_far.pictures, sums.top1_hits = so_far.top1_hits,
  sums.top5_hits = so_far.top5_hits;
  gpu::copy_from_host(sums_.raw(), &sums, sizeof sums);
  first_batch_ = first_batch;
}

void DeviceSteps::run(std::int64_t index) {
  const std::int64_t count = batches_.count_of(index);
  Size& size = sizes_[count];
  // A profile wants to see the parts of a step.
  const bool as_whole = size.stays_there && may_record_ && !profile::on();
  if (!as_whole || (!size.graph.defined() && !record(size, count))) {
    size.stays_there = !enqueue(count);
    if (may_record_ && !size.stays_there && ++size.copying_steps == kMostCopyingSteps)
      stay_eager("this model's steps copy between host and device");
    return;
  }
  const Span span(Kind::phase, "recorded step");
  optimizer_.bring();
  size.graph.launch();
  ++launches_;
}

bool DeviceSteps::record(Size& size, std::int64_t count) {
  try {
    size.graph = gpu::Graph::record([&] { enqueue(count); });
  } catch (const Error& error) {
    optimizer_.zero_grad();
    model_.eval(), model_.train();  // quantizers that were in the middle of a pass begin anew
    stay_eager(error.what());
  }
  return size.graph.defined();
}

void DeviceSteps::stay_eager(const std::string& why) {
  may_record_ = false;
  log_info(fmt::format("steps on the device are not recorded: {}", why));
}

// Runs or is recorded: all between two steps' beginnings.
bool DeviceSteps::enqueue(std::int64_t count) {
  const data::Batch batch = [&] {
    const Span span(Kind::phase, "data");
    return batches_.next(count);
  }();
  const std::size_t copies = gpu::host_copies();
  methods_.begin_batch(batch);
  const Variable loss = loss_of(batch);
  {
    const Span span(Kind::phase, "backward");
    loss.backward();
  }
  methods_.before_update();
  const bool copied = gpu::host_copies() != copies;
  const Span span(Kind::phase, "optimizer");
  optimizer_.step();
  const std::size_t before_methods = gpu::host_copies();
  methods_.after_update();
  optimizer_.zero_grad();
  return copied || gpu::host_copies() != before_methods;
}

Variable DeviceSteps::loss_of(const data::Batch& batch) {
  const Variable logits = [&] {
    const Span span(Kind::phase, "forward");
    return model_(Variable(batch.images));
  }();
  const Span span(Kind::phase, "loss");
  check_labels(logits.shape()[-1]);
  const Variable loss =
      methods_.loss(ops::softmax_cross_entropy(logits, batch.labels, label_smoothing_), batch, logits);
  add_scores(logits, batch.labels, loss);
  return loss;
}

void DeviceSteps::add_scores(const Variable& logits, const Tensor& labels, const Variable& loss) {
  kernels::ScoreProblem problem;
  problem.pictures = logits.shape()[0], problem.classes = logits.shape()[1];
  kernels::ScorePointers p;
  p.logits = static_cast<const float*>(logits.value().raw()), p.labels = static_cast<const std::int32_t*>(labels.raw());
  p.loss = static_cast<const float*>(loss.value().raw()), p.sums = static_cast<kernels::ScoreSums*>(sums_.raw());
  kernels::dispatch(kernels::score_rows(), "score_add", name_of(logits.value().dtype()), problem, p,
                    kernels::context_of(sums_.device()));
}

// On the device nobody looks at them any more.
void DeviceSteps::check_labels(std::int64_t classes) {
  if (classes == checked_classes_) return;
  const auto labels = dataset_.labels.span<std::int32_t>();
  for (std::size_t i = 0; i < labels.size(); ++i)
    OCTET_CHECK(labels[i] >= 0 && labels[i] < classes, "fit", "label {} of picture {} is outside [0, {})", labels[i], i,
                classes);
  checked_classes_ = classes;
}

DeviceSteps::Report DeviceSteps::report() const {
  kernels::ScoreSums sums;
  gpu::copy_to_host(&sums, sums_.raw(), sizeof sums);
  Report made;
  made.scores = {sums.loss_sum, sums.pictures, sums.top1_hits, sums.top5_hits};
  made.batch_loss = sums.batch_loss, made.lost_loss = sums.lost_loss;
  made.lost_batch = sums.lost_batch == 0 ? 0 : first_batch_ + sums.lost_batch;
  return made;
}

}  // namespace octet::optim
