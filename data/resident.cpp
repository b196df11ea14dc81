#include "data/resident.h"

#include <algorithm>
#include <limits>

#include "core/parallel.h"
#include "kernels/augment/augment.h"

namespace octet::data {

Resident::Resident(const Dataset& dataset, const LoaderOptions& options, Device device)
    : options_(options), pictures_(dataset.size()) {
  check_loadable(dataset, options);
  OCTET_CHECK(pictures_ <= std::numeric_limits<std::int32_t>::max(), "resident", "{} pictures, at most 2^31 - 1 fit",
              pictures_);
  bytes_ = dataset.pictures.to(device), labels_ = dataset.labels.to(device);
  order_ = Tensor({pictures_}, DType::s32, device), position_ = Tensor::zeros({1}, DType::s32, device);
  if (options.augment != Augment::none || options.cutout > 0)
    views_ = Tensor({pictures_, std::int64_t{sizeof(kernels::View)}}, DType::u8, device);
  const std::int64_t most = count_of(0);
  batch_ = {Tensor({most, kSide, kSide, kChannels}, DType::f32, device), Tensor({most}, DType::s32, device)};
}

std::int64_t Resident::count_of(std::int64_t index) const {
  OCTET_CHECK(index >= 0 && index < batches_per_epoch(), "resident", "batch {} is not in [0, {})", index,
              batches_per_epoch());
  return std::min(options_.batch_size, pictures_ - index * options_.batch_size);
}

void Resident::start(std::uint64_t epoch, std::int64_t first_batch) {
  OCTET_CHECK(first_batch >= 0 && first_batch <= batches_per_epoch(), "resident", "batch {} is not in [0, {}]",
              first_batch, batches_per_epoch());
  const std::vector<std::int64_t> pictures = epoch_order(pictures_, options_, epoch);
  Tensor order({pictures_}, DType::s32), views = views_.defined() ? Tensor(views_.shape(), DType::u8) : Tensor();
  std::int32_t* const to = order.data<std::int32_t>();
  auto* const view = static_cast<kernels::View*>(views.raw());
  constexpr std::int64_t kTask = 1024;
  parallel_for((pictures_ + kTask - 1) / kTask, [&](std::int64_t task) {
    for (std::int64_t i = task * kTask, end = std::min(pictures_, i + kTask); i < end; ++i) {
      const std::int64_t picture = pictures[static_cast<std::size_t>(i)];
      to[i] = static_cast<std::int32_t>(picture);
      if (view != nullptr) view[i] = view_of(picture, options_, epoch);
    }
  });
  order_.copy_from(order);
  if (views_.defined()) views_.copy_from(views);
  position_.fill(
      static_cast<double>(first_batch < batches_per_epoch() ? first_batch * options_.batch_size : pictures_));
}

Batch Resident::next(std::int64_t count) {
  OCTET_CHECK(count >= 1 && count <= batch_.size(), "resident", "a batch has 1 to {} pictures, not {}", batch_.size(),
              count);
  Batch made{batch_.images.slice(0, count), batch_.labels.slice(0, count)};
  kernels::AugmentProblem problem;
  problem.count = count, problem.h = kSide, problem.w = kSide, problem.c = kChannels;
  kernels::AugmentPointers p;
  p.pictures = static_cast<const std::uint8_t*>(bytes_.raw()),
  p.labels = static_cast<const std::int32_t*>(labels_.raw());
  p.order = static_cast<const std::int32_t*>(order_.raw()), p.views = static_cast<const kernels::View*>(views_.raw());
  p.position = static_cast<std::int32_t*>(position_.raw());
  p.values = static_cast<float*>(made.images.raw()), p.batch_labels = static_cast<std::int32_t*>(made.labels.raw());
  const Device device = made.images.device();
  kernels::dispatch(kernels::augment_rows(), "augment_fwd", "u8f32", problem, p, kernels::context_of(device));
  return made;
}

}  // namespace octet::data
