// Large blocks side by side in a few wide mappings. What is freed next to each other becomes one range again, so that the
// gradients of a step fit where its activations were, whatever the sizes.
#pragma once
#include <cstddef>
#include <map>
#include <set>
#include <utility>

namespace octet {

/// Best fit among ranges that have been in use before, then memory never touched. Sizes and addresses are multiples of
/// kPage. Not thread-safe; its memory is never given back but by trim().
class Arena {
 public:
  static constexpr std::size_t kPage = 4096;

  /// Null when the system has no memory left.
  void* take(std::size_t size);
  void give(void* block, std::size_t size);
  /// Gives free memory back to the system.
  void trim();

  /// Free bytes that the system has given pages for.
  std::size_t bytes_cached() const { return used_.bytes; }
  /// How often take() had to reach for untouched memory.
  std::size_t fresh_takes() const { return fresh_takes_; }

 private:
  /// Free ranges that do not touch each other.
  struct Ranges {
    std::map<char*, std::size_t> by_address;
    std::set<std::pair<std::size_t, char*>> by_size;
    std::size_t bytes = 0;
    void insert(char* begin, std::size_t size);
    void erase(char* begin);
    /// The smallest of at least `size` bytes, of these the first in memory; null when there is none.
    char* best(std::size_t size) const;
    /// The range that ends at `end`; null when there is none.
    char* ending_at(char* end) const;
  };

  bool grow(std::size_t size);
  char* cut(Ranges& from, char* begin, std::size_t size);
  char* take_fresh(std::size_t size);
  void join(Ranges& to, char* begin, std::size_t size) const;
  std::size_t free_in(const Ranges& ranges, char* begin, char* end) const;

  Ranges used_, fresh_;
  std::map<char*, std::size_t> mappings_;
  std::size_t fresh_takes_ = 0;
};

}  // namespace octet
