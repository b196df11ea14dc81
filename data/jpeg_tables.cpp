#include "data/jpeg_tables.h"

#include <cstddef>

namespace octet::data {
namespace {

constexpr int kMostSymbols = 255, kLengths = 16;
constexpr int kNone = -1, kStartOfImage = 0xD8, kStartOfScan = 0xDA, kEndOfImage = 0xD9, kHuffmanTables = 0xC4;

/// Bytes past the end read as zero, as they do in stb_image.
struct Reader {
  std::span<const std::uint8_t> bytes;
  std::size_t at = 0;

  bool at_end() const { return at >= bytes.size(); }
  int byte() { return at_end() ? 0 : bytes[at++]; }
  int word() {
    const int high = byte();
    return high << 8 | byte();
  }
  void skip(int count) { at += static_cast<std::size_t>(count); }
  int marker() {
    int value = byte();
    if (value != 0xFF) return kNone;
    while (value == 0xFF) value = byte();
    return value;
  }
};

bool tables_fit(Reader& reader) {
  int left = reader.word() - 2;
  while (left > 0) {
    reader.byte();  // class and number
    int symbols = 0;
    for (int length = 1; length <= kLengths; ++length) symbols += reader.byte();
    if (symbols > kMostSymbols) return false;
    reader.skip(symbols);
    left -= 1 + kLengths + symbols;
  }
  return true;
}

}  // namespace

bool huffman_tables_fit(std::span<const std::uint8_t> bytes) {
  Reader reader{bytes};
  if (reader.marker() != kStartOfImage) return true;  // no JPEG
  while (!reader.at_end()) {
    const int marker = reader.marker();
    if (marker == kNone) continue;
    if (marker == kEndOfImage) return true;
    if (marker == kStartOfScan) break;
    if (marker == kHuffmanTables) {
      if (!tables_fit(reader)) return false;
    } else if (const int length = reader.word(); length > 2) {
      reader.skip(length - 2);
    }
  }
  for (std::size_t i = reader.at; i + 1 < bytes.size(); ++i) {
    if (bytes[i] != 0xFF || bytes[i + 1] != kHuffmanTables) continue;
    Reader behind_scan{bytes, i + 2};
    if (!tables_fit(behind_scan)) return false;
  }
  return true;
}

std::vector<std::uint8_t> with_empty_tables(std::span<const std::uint8_t> bytes) {
  Reader reader{bytes};
  if (reader.marker() != kStartOfImage) return {};
  constexpr int kTables = 8, kTableBytes = 1 + kLengths, kSegmentBytes = 2 + kTables * kTableBytes;
  const auto rest = bytes.begin() + static_cast<std::ptrdiff_t>(reader.at);
  std::vector<std::uint8_t> guarded(bytes.begin(), rest);
  guarded.reserve(bytes.size() + 2 + kSegmentBytes);
  guarded.insert(guarded.end(), {0xFF, kHuffmanTables, kSegmentBytes >> 8, kSegmentBytes & 0xFF});
  for (const int kind : {0x00, 0x10})  // of DC and of AC coefficients
    for (int number = 0; number < kTables / 2; ++number) {
      guarded.push_back(static_cast<std::uint8_t>(kind | number));
      guarded.insert(guarded.end(), kLengths, 0);  // no code of any length
    }
  guarded.insert(guarded.end(), rest, bytes.end());
  return guarded;
}

}  // namespace octet::data
