#include "quant/calibration/calibration_pictures.h"

#include <algorithm>

#include "core/error.h"
#include "data/loader.h"

namespace octet::quant {

void for_calibration_batches(const data::Dataset& dataset, const CalibrateOptions& options,
                             const std::function<void(const Tensor&, std::int64_t, std::int64_t)>& f) {
  OCTET_CHECK(options.pictures >= 1, "calibrate", "{} pictures to calibrate on must be positive", options.pictures);
  const std::int64_t total = std::min(options.pictures, dataset.size());
  data::Loader loader(dataset,
                      {std::min(options.batch_size, options.pictures), true, data::Augment::none, options.seed});
  std::int64_t done = 0;
  for (std::int64_t batch = 0; done < total; ++batch) {
    const Tensor images = loader.make(0, batch).images;
    const std::int64_t wanted = std::min(images.shape()[0], total - done);
    done += wanted;
    f(images.slice(0, wanted), done, total);
  }
}

}  // namespace octet::quant
