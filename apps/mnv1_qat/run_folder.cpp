#include "apps/mnv1_qat/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/model_file.h"
#include "core/file.h"
#include "optim/checkpoint.h"

namespace octet::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kShownDifferences = 4;

Json flat(const std::string& tag) {
  const Json j = parse_tag(tag);
  return j.is_object() ? j.flatten() : Json::object();
}

void require_same_options(const std::string& path, const std::string& before, const std::string& now) {
  if (before != now)
    fail("resume", fmt::format("'{}' was made with other options: {}", path, differences(before, now)),
         "resume with the options it began with, or use another --out");
}

}  // namespace

std::string differences(const std::string& before, const std::string& now) {
  const Json a = flat(before), b = flat(now);
  const auto value = [](const Json& j, const std::string& key) {
    return j.contains(key) ? j[key].dump(-1, ' ', false, Json::error_handler_t::replace) : std::string("nothing");
  };
  Json keys = a;
  keys.update(b);
  std::string text;
  int shown = 0;
  for (const auto& [key, ignored] : keys.items()) {
    if (value(a, key) == value(b, key)) continue;
    if (++shown > kShownDifferences) return text + ", …";
    text += fmt::format("{}{} was {}, is {}", text.empty() ? "" : ", ", key.substr(1), value(a, key), value(b, key));
  }
  return text.empty() ? "it does not say which" : text;
}

RunFolder::RunFolder(const std::string& dir) : dir_(dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  std::error_code ignored;
  OCTET_CHECK(fs::is_directory(dir, ignored), "mnv1_qat", "cannot make the folder '{}': {}", dir,
              error ? error.message() : "a file is in the way");
  lock_ = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Some file systems know no locks: then there is none.
  if (lock_ >= 0 && ::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(lock_);
    fail("mnv1_qat", fmt::format("another process works in '{}'", dir), "wait for it, or use another --out");
  }
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

std::string RunFolder::path(const std::string& file) const { return (fs::path(dir_) / file).string(); }

bool RunFolder::has(const std::string& file) const { return fs::exists(path(file)); }

void RunFolder::remove(const std::string& file) const {
  std::error_code error;
  fs::remove(path(file), error);
  OCTET_CHECK(!error, "mnv1_qat", "cannot remove '{}': {}", path(file), error.message());
}

void RunFolder::require_no_unfinished_run() const {
  for (const char* file : {"pretrain.checkpoint.safetensors", "qat.checkpoint.safetensors"})
    if (has(file))
      fail("mnv1_qat", fmt::format("'{}' holds an unfinished run", dir_),
           fmt::format("--resume goes on with it; to start anew use another --out, or remove '{}'", path(file)));
}

bool RunFolder::is_finished(const Stage& stage) const {
  const bool has_checkpoint = has(stage.checkpoint);
  if (has_checkpoint)
    require_same_options(path(stage.checkpoint), optim::checkpoint_tag(path(stage.checkpoint)), stage.tag);
  if (!has(stage.model_file)) return false;
  const TensorFile file = read_safetensors(path(stage.model_file), {.copy = false, .require_checksum = true});
  const std::string tag = ModelNotes::from(file.metadata, file.name).tag;
  if (!has_checkpoint) require_same_options(file.name, tag, stage.tag);
  return tag == stage.tag;  // beside a checkpoint, a model of other options is of an earlier run and not yet replaced
}

void RunFolder::remove_results_after(const Stage& stage) const {
  if (stage.name == "pretrain") remove("qat.safetensors");
  for (const char* file : {"int8.safetensors", "convert.txt", "summary.json"}) remove(file);
}

Timing RunFolder::timing() const {
  if (!has("timing.json")) return {};
  const Json all = Json::parse(read_file(path("timing.json"), 1 << 20), nullptr, false);
  const auto number = [&](const char* key) {
    return all.is_object() && all.contains(key) && all[key].is_number() ? all[key].get<double>() : 0.0;
  };
  return {{number("pretrain_seconds"), number("fp32_step_ms")},
          {number("qat_seconds"), number("qat_step_ms")},
          number("total_seconds")};
}

void RunFolder::keep(const Timing& timing) const {
  const Json j{{"pretrain_seconds", timing.pretrain.seconds},
               {"fp32_step_ms", timing.pretrain.step_ms},
               {"qat_seconds", timing.qat.seconds},
               {"qat_step_ms", timing.qat.step_ms},
               {"total_seconds", timing.total_seconds}};
  write_file_atomically(path("timing.json"), j.dump(2) + "\n");
}

}  // namespace octet::app
