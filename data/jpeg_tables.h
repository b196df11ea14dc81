// A guard before stb_image: its older versions (Debian 12's too) write past a table when a JPEG's Huffman table claims
// more than 256 symbols, and read in front of one when it has 256 and the last has a short code (its number is the mark
// of "no short code"). No picture needs them all: progressive JPEG, which has most, knows 176 symbols. And a scan that
// names a table which the file never defines makes them decode with whatever the memory held.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace octet::data {

/// False when `bytes` is a JPEG with a Huffman table (DHT segment, ITU-T T.81 B.2.4.2) of more than 255 symbols. Walks
/// the segments as a decoder would up to the first scan; behind it, takes every DHT marker as one, since coded data
/// holds none.
bool huffman_tables_fit(std::span<const std::uint8_t> bytes);

/// A JPEG with a DHT segment put behind its first marker that defines all eight tables as empty: a table that the file
/// does not define itself then ends decoding at its first symbol. Empty when `bytes` is no JPEG.
std::vector<std::uint8_t> with_empty_tables(std::span<const std::uint8_t> bytes);

}  // namespace octet::data
