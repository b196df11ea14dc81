#include "kernels/select.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>

#include "core/error.h"
#include "core/gpu/gpu.h"
#include "core/log.h"

namespace octet::kernels {
namespace {

constexpr const char* kImpls[] = {"reference",  "avx2",   "avx2pairs", "avxvnni", "avx512",   "avx512vnni",
                                  "avx512bf16", "onednn", "openblas",  "cuda",    "emulated", "cudnn"};

struct Forced {
  std::string pass, impl;
};
using ForcedList = std::vector<Forced>;

bool known_impl(std::string_view impl) {
  for (const char* known : kImpls)
    if (impl == known) return true;
  return false;
}

/// A row of the device; forcing one leaves those of the processor alone, and the other way round.
bool is_device_impl(std::string_view impl) { return impl == "cuda" || impl == "emulated" || impl == "cudnn"; }

/// "conv2d_fwd:onednn,linear_fwd:avx2" as a list; the last entry for a pass wins.
ForcedList parse(const std::string& spec) {
  ForcedList list;
  for (std::size_t begin = 0; begin < spec.size();) {
    const std::size_t comma = std::min(spec.find(',', begin), spec.size());
    const std::string entry = spec.substr(begin, comma - begin);
    const std::size_t colon = entry.find(':');
    const bool whole = colon != std::string::npos && colon > 0 && colon + 1 < entry.size();
    if (!whole)
      fail("OCTET_KERNEL", fmt::format("'{}' is not <pass>:<impl>", entry), "write for example conv2d_fwd:onednn");
    const std::string impl = entry.substr(colon + 1);
    if (!known_impl(impl))
      fail("OCTET_KERNEL", fmt::format("'{}' names no implementation", entry),
           fmt::format("implementations are {}", fmt::join(kImpls, ", ")));
    list.push_back({entry.substr(0, colon), impl});
    begin = comma + 1;
  }
  return list;
}

std::mutex forced_mutex;
std::shared_ptr<const ForcedList> forced_list;  // null until OCTET_KERNEL has been read

std::shared_ptr<const ForcedList> forced() {
  const std::lock_guard lock(forced_mutex);
  if (forced_list == nullptr) {
    const char* spec = std::getenv("OCTET_KERNEL");
    forced_list = std::make_shared<const ForcedList>(parse(spec == nullptr ? "" : spec));
  }
  return forced_list;
}

const std::string* find_forced(const ForcedList& list, const char* pass) {
  const std::string* impl = nullptr;
  for (const Forced& f : list)
    if (f.pass == pass) impl = &f.impl;
  return impl;
}

std::atomic<bool> deterministic_on{false};

/// A training step repeats its choices thousands of times: each line is told once.
void report_once(const std::string& line) {
  static std::mutex mutex;
  static std::set<std::string> told;
  const std::lock_guard lock(mutex);
  if (told.insert(line).second) log(LogLevel::info, line);
}

}  // namespace

Isa required_isa(const char* impl) {
  for (const Isa isa : kIsas)
    if (same_text(impl, name_of(isa))) return isa;
  if (same_text(impl, "avx2pairs")) return Isa::avx2;
  // Beside the ladder: the row itself asks for its dot product.
  return same_text(impl, "avx512bf16") ? Isa::avx512 : Isa::reference;
}

bool is_vendor(const char* impl) {
  return same_text(impl, "onednn") || same_text(impl, "openblas") || same_text(impl, "cudnn");
}

void set_deterministic(bool on) { deterministic_on = on; }
bool deterministic() { return deterministic_on; }

Context context_of(Device device) { return {device, device == Device::cuda ? gpu::stream() : nullptr}; }

const char* refused(const RowTag& tag, const char* dtypes, Device device) {
  if (!same_text(tag.dtypes, dtypes)) return "other dtypes";
  if (!same_text(tag.device, name_of(device))) return "another device";
  if (device == Device::cuda && same_text(tag.impl, "emulated") != (gpu::kind() == gpu::Kind::emulated))
    return "another kind of device";
  if (!usable(required_isa(tag.impl))) return "the processor, or OCTET_ISA, does not allow its instructions";
  if (is_vendor(tag.impl) && deterministic()) return "vendor rows are excluded by --deterministic";
  const auto list = forced();
  const std::string* impl = find_forced(*list, tag.pass);
  if (impl != nullptr && is_device_impl(*impl) == (device == Device::cuda))
    return *impl == tag.impl ? nullptr : "another row is forced";
  if (is_vendor(tag.impl)) return "vendor rows run only when forced";
  return nullptr;
}

void force_kernels(const std::string& spec) {
  auto list = std::make_shared<const ForcedList>(parse(spec));
  const std::lock_guard lock(forced_mutex);
  forced_list = std::move(list);
}

std::string forced_impl(const char* pass) {
  const auto list = forced();
  const std::string* impl = find_forced(*list, pass);
  return impl == nullptr ? std::string() : *impl;
}

bool reporting() { return verbose("dispatch"); }

void report_choice(const RowTag& tag, const std::string& problem) {
  report_once(fmt::format("dispatch: {} {} [{}] runs {}", tag.pass, tag.dtypes, problem, tag.impl));
}

void report_refusal(const RowTag& tag, const std::string& problem, const char* reason) {
  report_once(fmt::format("dispatch: {} {} [{}] not {}: {}", tag.pass, tag.dtypes, problem, tag.impl, reason));
}

void fail_no_row(const char* pass, const char* dtypes, const std::string& problem, Device device) {
  const auto list = forced();
  const std::string* impl = find_forced(*list, pass);
  fail(pass, fmt::format("no row takes {} [{}] on {}", dtypes, problem, name_of(device)),
       impl == nullptr ? std::string{}
                       : fmt::format("OCTET_KERNEL forces {}, which refuses this problem or is not built; see "
                                     "OCTET_VERBOSE=dispatch",
                                     *impl));
}

bool same_text(const char* a, const char* b) { return std::strcmp(a, b) == 0; }

}  // namespace octet::kernels
