// A guard before stb_image: its older versions (Debian 12's too) write past a table when a JPEG's Huffman table claims more
// than 256 symbols, and read in front of one when it has 256 and the last has a short code (its number is the mark of "no short
// code"). No picture needs them all: progressive JPEG, which has most, knows 176 symbols.
#pragma once
#include <cstdint>
#include <span>

namespace octet::data {

/// False when `bytes` is a JPEG with a Huffman table (DHT segment, ITU-T T.81 B.2.4.2) of more than 255 symbols. Walks the
/// segments as a decoder would up to the first scan; behind it, takes every DHT marker as one, since coded data holds none.
bool huffman_tables_fit(std::span<const std::uint8_t> bytes);

}  // namespace octet::data
