#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>
#include <vector>

#include "core/profile.h"
#include "core/random.h"

namespace octet::data {
namespace {

constexpr std::size_t kAhead = 2;  // batches made before they are asked for

// What this thread has computed: neither its waiting, nor the time when others have its processor.
std::int64_t thread_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

// Fisher-Yates.
std::vector<std::int64_t> epoch_order(std::int64_t pictures, const LoaderOptions& options, std::uint64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(pictures));
  std::iota(order.begin(), order.end(), 0);
  if (!options.shuffle) return order;
  Random random(options.seed, Purpose::shuffle, epoch);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

kernels::View view_of(std::int64_t picture, const LoaderOptions& options, std::uint64_t epoch) {
  kernels::View view;
  Random random(options.seed, Purpose::augment, epoch, static_cast<std::uint64_t>(picture));
  const auto draw = [&](int values, int less) {
    return static_cast<std::int8_t>(static_cast<int>(random.below(static_cast<std::uint64_t>(values))) - less);
  };
  if (options.augment == Augment::crop_flip) {
    view.down = draw(9, 4), view.right = draw(9, 4);
    view.mirrored = random.below(2) == 1;
  }
  if (options.cutout > 0) {
    view.hole_row = draw(kSide, options.cutout / 2), view.hole_column = draw(kSide, options.cutout / 2);
    view.hole_side = static_cast<std::uint8_t>(options.cutout);
  }
  return view;
}

void check_loadable(const Dataset& dataset, const LoaderOptions& options) {
  OCTET_CHECK(options.batch_size >= 1, "loader", "batch size {} must be at least 1", options.batch_size);
  OCTET_CHECK(options.cutout >= 0 && options.cutout <= kSide, "loader", "cutout of side {}, it must be 0 to {}",
              options.cutout, kSide);
  OCTET_CHECK(dataset.size() >= 1, "loader", "the data set holds no pictures");
  const Shape wanted{dataset.size(), kSide, kSide, kChannels};
  OCTET_CHECK(dataset.pictures.dtype() == DType::u8 && dataset.pictures.shape() == wanted &&
                  dataset.labels.dtype() == DType::s32,
              "loader", "pictures are {} {} and labels {}, but {} labels need u8 {} and s32",
              name_of(dataset.pictures.dtype()), dataset.pictures.shape().str(), name_of(dataset.labels.dtype()),
              dataset.size(), wanted.str());
}

struct Loader::Worker {
  Dataset dataset;
  LoaderOptions options;
  std::thread thread;
  std::mutex mutex;
  std::condition_variable wake_worker, wake_reader;
  std::deque<Batch> ready;
  // Memory for whole batches, made once and used in turn: ready ones, the one being made and the reader's.
  struct Buffer {
    Batch whole;
    bool out = false;
    bool free_again() const { return whole.images.sole_owner() && whole.labels.sole_owner(); }
  };
  std::vector<Buffer> buffers;
  std::exception_ptr error;
  bool stop = false, done = true;
  std::atomic<std::int64_t> busy_ns{0};

  std::int64_t batches() const { return (dataset.size() - 1) / options.batch_size + 1; }

  std::int64_t count_of(std::int64_t index) const {
    return std::min(options.batch_size, dataset.size() - index * options.batch_size);
  }

  static Batch memory(std::int64_t count) {
    return {Tensor({count, kSide, kSide, kChannels}), Tensor({count}, DType::s32)};
  }

  void fill(Batch& batch, const std::vector<std::int64_t>& order, std::uint64_t epoch, std::int64_t index) const {
    const std::int64_t begin = index * options.batch_size, count = batch.size();
    const std::uint8_t* pixels = dataset.pictures.data<std::uint8_t>();
    float* values = batch.images.data<float>();
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t picture = order[static_cast<std::size_t>(begin + i)];
      batch.labels.data<std::int32_t>()[i] = dataset.labels.data<std::int32_t>()[picture];
      show(pixels + picture * kPictureBytes, view_of(picture, options, epoch), values + i * kPictureBytes);
    }
  }

  // A buffer's first `count` pictures; memory of their own when the reader keeps all that there is.
  Batch take(std::int64_t count) {
    std::lock_guard lock(mutex);
    auto free = std::find_if(buffers.begin(), buffers.end(), [](const Buffer& buffer) { return !buffer.out; });
    if (free == buffers.end()) {
      if (buffers.size() == kAhead + 2) return memory(count);
      free = buffers.insert(free, {memory(std::min(options.batch_size, dataset.size()))});
    }
    free->out = true;
    return {free->whole.images.slice(0, count), free->whole.labels.slice(0, count)};
  }

  // Lets go of the reader's batch. One that somebody else has still is theirs. The caller holds the lock.
  void let_go(Batch& batch) {
    const void* const images = batch.images.defined() ? batch.images.raw() : nullptr;
    batch = {};
    const auto own = std::find_if(buffers.begin(), buffers.end(),
                                  [&](const Buffer& buffer) { return buffer.whole.images.raw() == images; });
    if (own == buffers.end()) return;
    own->out = false;
    if (!own->free_again()) buffers.erase(own);
  }

  void run(std::uint64_t epoch, std::int64_t first) {
    try {
      profile::name_thread("loader");
      const std::int64_t busy_before = busy_ns - thread_ns();
      const auto order = epoch_order(dataset.size(), options, epoch);
      for (std::int64_t i = first; i < batches(); ++i) {
        Batch batch = [&] {
          const profile::Span span(profile::Kind::phase, "make batch");
          Batch made = take(count_of(i));
          fill(made, order, epoch, i);
          return made;
        }();
        busy_ns = busy_before + thread_ns();
        std::unique_lock lock(mutex);
        wake_worker.wait(lock, [&] { return stop || ready.size() < kAhead; });
        if (stop) return;
        ready.push_back(std::move(batch));
        wake_reader.notify_one();
      }
    } catch (...) {
      std::lock_guard lock(mutex);
      error = std::current_exception();
    }
    std::lock_guard lock(mutex);
    done = true;
    wake_reader.notify_one();
  }

  void join() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    wake_worker.notify_one();
    if (thread.joinable()) thread.join();
  }
};

Loader::Loader(Dataset dataset, const LoaderOptions& options) : worker_(std::make_unique<Worker>()) {
  check_loadable(dataset, options);
  worker_->dataset = std::move(dataset);
  worker_->options = options;
}

Loader::~Loader() { worker_->join(); }

std::int64_t Loader::batches_per_epoch() const { return worker_->batches(); }

const Dataset& Loader::dataset() const { return worker_->dataset; }

void Loader::start(std::uint64_t epoch, std::int64_t first_batch) {
  OCTET_CHECK(first_batch >= 0 && first_batch <= worker_->batches(), "loader", "batch {} is not in [0, {}]",
              first_batch, worker_->batches());
  worker_->join();
  worker_->ready.clear();
  for (Worker::Buffer& buffer : worker_->buffers) buffer.out = !buffer.free_again();
  worker_->error = nullptr;
  worker_->stop = worker_->done = false;
  try {
    worker_->thread = std::thread([this, epoch, first_batch] { worker_->run(epoch, first_batch); });
  } catch (const std::system_error& error) {
    worker_->done = true;  // so that next() waits for nobody
    fail("loader", fmt::format("the system grants no thread: {}", error.what()));
  }
}

bool Loader::next(Batch& batch) {
  std::unique_lock lock(worker_->mutex);
  worker_->let_go(batch);
  worker_->wake_reader.wait(lock, [&] { return !worker_->ready.empty() || worker_->done; });
  if (worker_->ready.empty()) {
    if (worker_->error) std::rethrow_exception(worker_->error);
    return false;
  }
  batch = std::move(worker_->ready.front());
  worker_->ready.pop_front();
  worker_->wake_worker.notify_one();
  return true;
}

double Loader::busy_seconds() const { return static_cast<double>(worker_->busy_ns.load()) * 1e-9; }

Batch Loader::make(std::uint64_t epoch, std::int64_t index) const {
  OCTET_CHECK(index >= 0 && index < worker_->batches(), "loader", "batch {} is not in [0, {})", index,
              worker_->batches());
  Batch batch = Worker::memory(worker_->count_of(index));
  worker_->fill(batch, epoch_order(worker_->dataset.size(), worker_->options, epoch), epoch, index);
  return batch;
}

}  // namespace octet::data
