// core/safetensors: files of any content, with and without copies, with and without a demand for a checksum.
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/safetensors.h"
#include "tests/fuzz/container.h"
#include "tests/fuzz/target.h"

namespace octet::fuzz {
namespace {

/// Reads every byte, so that a tensor outside its memory is seen.
std::uint32_t sum_of(const TensorFile& file) {
  std::uint32_t sum = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
    for (std::size_t i = 0; i < tensor.nbytes(); ++i) sum = sum * 31 + bytes[i];
  }
  return sum;
}

}  // namespace

bool accepts(std::string_view bytes) {
  // Memory of exactly this size, aligned as a mapping is.
  const std::shared_ptr<char[]> owner(new (std::align_val_t{64}) char[bytes.size()],
                                      [](char* p) { ::operator delete[](p, std::align_val_t{64}); });
  std::memcpy(owner.get(), bytes.data(), bytes.size());
  try {
    const TensorFile copied = parse_safetensors(owner.get(), bytes.size(), nullptr, "input");
    const TensorFile shared = parse_safetensors(owner.get(), bytes.size(), owner, "input", {.copy = false});
    if (sum_of(copied) != sum_of(shared) || copied.metadata != shared.metadata)
      found("copied and shared tensors differ");
    parse_safetensors(owner.get(), bytes.size(), nullptr, "input", {.require_checksum = true});
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace octet::fuzz

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size)
    __attribute__((weak));
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (octet::fuzz::Dice(seed).roll(4) == 0) return size;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  octet::fuzz::repair_container(bytes);
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}
