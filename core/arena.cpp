#include "core/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

namespace octet {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kMapping = std::size_t{512} << 20;  // addresses, not pages: what is never touched costs nothing

/// Addresses at a multiple of a huge page: a fault there clears 2 MiB at once instead of 4 KiB 512 times.
char* map(std::size_t size) {
  const std::size_t wide = size + kHugePage;
  void* const mapped =
      ::mmap(nullptr, wide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(mapped);
  char* const block = begin + (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  if (block > begin) ::munmap(begin, static_cast<std::size_t>(block - begin));
  if (block + size < begin + wide) ::munmap(block + size, static_cast<std::size_t>(begin + wide - block - size));
#if defined(MADV_HUGEPAGE)
  ::madvise(block, size, MADV_HUGEPAGE);
#endif
  return block;
}

}  // namespace

void Arena::Ranges::insert(char* begin, std::size_t size) {
  by_address.emplace(begin, size);
  by_size.emplace(size, begin);
  bytes += size;
}

void Arena::Ranges::erase(char* begin) {
  const auto found = by_address.find(begin);
  bytes -= found->second;
  by_size.erase({found->second, begin});
  by_address.erase(found);
}

char* Arena::Ranges::best(std::size_t size) const {
  const auto found = by_size.lower_bound({size, nullptr});
  return found == by_size.end() ? nullptr : found->second;
}

char* Arena::Ranges::ending_at(char* end) const {
  const auto after = by_address.lower_bound(end);
  if (after == by_address.begin()) return nullptr;
  const auto before = std::prev(after);
  return before->first + before->second == end ? before->first : nullptr;
}

/// The first `size` bytes of a free range.
char* Arena::cut(Ranges& from, char* begin, std::size_t size) {
  const std::size_t whole = from.by_address.at(begin);
  from.erase(begin);
  if (whole > size) from.insert(begin + size, whole - size);
  return begin;
}

/// Adds a free range to its neighbours; mappings stay apart.
void Arena::join(Ranges& to, char* begin, std::size_t size) const {
  if (char* const before = mappings_.contains(begin) ? nullptr : to.ending_at(begin)) {
    size += to.by_address.at(before);
    to.erase(before);
    begin = before;
  }
  char* const end = begin + size;
  if (const auto after = to.by_address.find(end); after != to.by_address.end() && !mappings_.contains(end)) {
    size += after->second;
    to.erase(end);
  }
  to.insert(begin, size);
}

bool Arena::grow(std::size_t size) {
  const std::size_t rounded = (size + kHugePage - 1) / kHugePage * kHugePage;
  for (const std::size_t wanted : {std::max(rounded, kMapping), rounded}) {
    char* const begin = map(wanted);
    if (begin == nullptr) continue;
    mappings_.emplace(begin, wanted);
    fresh_.insert(begin, wanted);
    return true;
  }
  return false;
}

/// Begins in the free range before the untouched one, when they meet.
char* Arena::take_fresh(std::size_t size) {
  for (const auto& [begin, free] : fresh_.by_address) {
    char* const before = mappings_.contains(begin) ? nullptr : used_.ending_at(begin);
    const std::size_t reused = before == nullptr ? 0 : used_.by_address.at(before);
    if (reused + free < size) continue;
    ++fresh_takes_;
    char* const at = cut(fresh_, begin, size - reused);
    if (before == nullptr) return at;
    used_.erase(before);
    return before;
  }
  return nullptr;
}

void* Arena::take(std::size_t size) {
  if (char* const begin = used_.best(size)) return cut(used_, begin, size);
  if (char* const begin = take_fresh(size)) return begin;
  return grow(size) ? take_fresh(size) : nullptr;
}

void Arena::give(void* block, std::size_t size) { join(used_, static_cast<char*>(block), size); }

std::size_t Arena::free_in(const Ranges& ranges, char* begin, char* end) const {
  std::size_t bytes = 0;
  for (auto at = ranges.by_address.lower_bound(begin); at != ranges.by_address.end() && at->first < end; ++at)
    bytes += at->second;
  return bytes;
}

void Arena::trim() {
  while (!used_.by_address.empty()) {
    const auto [begin, size] = *used_.by_address.begin();
    ::madvise(begin, size, MADV_DONTNEED);
    used_.erase(begin);
    join(fresh_, begin, size);
  }
  std::vector<char*> empty;
  for (const auto& [begin, size] : mappings_)
    if (free_in(fresh_, begin, begin + size) == size) empty.push_back(begin);
  for (char* const begin : empty) {
    ::munmap(begin, mappings_.at(begin));
    fresh_.erase(begin);  // one range: nothing lies between
    mappings_.erase(begin);
  }
}

}  // namespace octet
