#include "core/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/allocator.h"
#include "core/random.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace octet {
namespace {

/// A file from a header text and data, without a checksum.
std::string raw_file(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

TensorFile parse(std::string bytes, const ReadOptions& options = {}) {
  return parse_safetensors(bytes.data(), bytes.size(), nullptr, "some.file", options);
}

TensorFile parse_header(const std::string& header, const std::string& data = {}) {
  return parse(raw_file(header, data));
}

NamedTensors some_tensors() {
  NamedTensors tensors;
  int seed = 0;
  for (DType dtype : {DType::u8, DType::f32, DType::f64, DType::bf16, DType::s8, DType::s32}) {
    for (const Shape& shape : {Shape{3}, Shape{}, Shape{2, 0}, Shape{1, 2, 3, 1, 1, 2}}) {
      Tensor t(shape, dtype);
      Random random(1, Purpose::test, static_cast<std::uint64_t>(++seed));
      for (std::size_t i = 0; i < t.nbytes(); ++i)
        static_cast<unsigned char*>(t.raw())[i] = static_cast<unsigned char>(random.bits());
      tensors.emplace_back("layer." + std::to_string(seed) + ".\"ü\n", t);
    }
  }
  return tensors;
}

void expect_same(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_EQ(a[i].second.dtype(), b[i].second.dtype());
    EXPECT_EQ(a[i].second.shape(), b[i].second.shape());
    EXPECT_EQ(std::memcmp(a[i].second.raw(), b[i].second.raw(), a[i].second.nbytes()), 0) << a[i].first;
  }
}

TEST(Safetensors, round_trip_copied_and_mapped) {
  test::TempFolder folder;
  const std::string path = folder / "a.safetensors";
  const NamedTensors tensors = some_tensors();
  const Metadata metadata{{"graph", "{\"a\": [1, 2]}"}, {"empty", ""}, {"", "é\t"}};
  write_safetensors(path, tensors, metadata);
  for (bool copy : {true, false}) {
    const TensorFile file = read_safetensors(path, {.copy = copy, .require_checksum = true});
    expect_same(file.tensors, tensors);
    EXPECT_EQ(file.metadata, metadata);
    EXPECT_EQ(file.get(tensors[1].first).shape(), tensors[1].second.shape());
    EXPECT_EQ(file.find("none"), nullptr);
    EXPECT_ERROR(file.get("none"), "a.safetensors: it has no tensor 'none'");
    EXPECT_ERROR(file.meta("none"), "no metadata 'none'");
    EXPECT_EQ(file.meta("empty"), "");
  }
}

TEST(Safetensors, equal_input_gives_equal_bytes) {
  test::TempFolder folder;
  write_safetensors(folder / "a", some_tensors(), {{"b", "2"}, {"a", "1"}});
  write_safetensors(folder / "b", some_tensors(), {{"a", "1"}, {"b", "2"}});
  const std::string bytes = read_file(folder / "a");
  EXPECT_EQ(bytes, read_file(folder / "b"));
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u);
}

TEST(Safetensors, mapped_tensors_are_private_and_keep_the_mapping) {
  test::TempFolder folder;
  write_safetensors(folder / "a", {{"x", Tensor::full({1000}, 2)}});
  Tensor x = read_safetensors(folder / "a", {.copy = false}).get("x");
  const std::size_t live = allocator_stats().bytes_live;
  Tensor again = read_safetensors(folder / "a", {.copy = false}).get("x");
  EXPECT_EQ(allocator_stats().bytes_live, live) << "an aligned tensor is not copied";
  x.fill(3);
  EXPECT_EQ(x.at(999), 3);
  EXPECT_EQ(again.at(999), 2);
  EXPECT_EQ(read_safetensors(folder / "a").get("x").at(0), 2);
}

TEST(Safetensors, misaligned_tensors_are_copied) {
  test::TempFolder folder;
  std::string data(5, '\0');
  const float value = 7.5f;
  std::memcpy(data.data() + 1, &value, 4);
  write_file_atomically(
      folder / "a",
      raw_file(
          R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
          data));
  const TensorFile file = read_safetensors(folder / "a", {.copy = false});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.get("f").raw()) % 4, 0u);
  EXPECT_EQ(file.get("f").item(), 7.5);
}

TEST(Safetensors, accepts_what_others_write) {
  // Offsets in another order than the header, spaces, no metadata, an empty file.
  const TensorFile file = parse_header(
      R"({ "b" : {"shape":[2], "data_offsets":[4,6], "dtype":"I8"}, "a":{"dtype":"I32","shape":[],"data_offsets":[0,4]} }   )",
      std::string("\x05\0\0\0\x01\xFF", 6));
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].first, "b");
  EXPECT_EQ(file.get("a").item(), 5);
  EXPECT_EQ(file.get("b").at(1), -1);
  EXPECT_TRUE(parse_header("{}").tensors.empty());
  EXPECT_EQ(parse_header(R"({"__metadata__":{"k":"v"}})").meta("k"), "v");
  EXPECT_ERROR(parse(raw_file("{}", ""), {.require_checksum = true}), "no checksum");
}

TEST(Safetensors, every_truncation_is_refused) {
  test::TempFolder folder;
  write_safetensors(folder / "a", {{"x", Tensor::full({3}, 1)}, {"y", Tensor::full({2, 2}, 2, DType::s8)}},
                    {{"k", "v"}});
  const std::string good = read_file(folder / "a");
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_ERROR(parse(good.substr(0, length)), "some.file: ");
  }
  EXPECT_ERROR(parse(good + '\0'), "after the last tensor");
  write_file_atomically(folder / "empty", "");
  EXPECT_ERROR(read_safetensors(folder / "empty"), "0 bytes are too few");
  EXPECT_ERROR(read_safetensors(folder / "empty", {.copy = false}), "0 bytes are too few");
  EXPECT_ERROR(read_safetensors(folder / "none"), "No such file");
  EXPECT_ERROR(read_safetensors(folder.path().string()), "folder");
}

TEST(Safetensors, every_flipped_bit_is_refused) {
  test::TempFolder folder;
  write_safetensors(folder / "a", {{"x", Tensor::full({3}, 1)}}, {{"k", "v"}});
  const std::string good = read_file(folder / "a");
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_ERROR(parse(bad, {.require_checksum = true}), "some.file: ");
  }
}

TEST(Safetensors, random_damage_gives_an_error_or_a_result) {
  const std::string good = raw_file(
      R"({"__metadata__":{"k":"v"},"x":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})", std::string(16, 'x'));
  const std::string alphabet = "{}[]\",:0123456789-.eE\\u \x80\xFF nulltruefalse";
  Random random(7, Purpose::test);
  int survivors = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      const std::size_t at = 8 + random.below(bad.size() - 8);
      const char c = alphabet[random.below(alphabet.size())];
      switch (random.below(3)) {
        case 0:
          bad[at] = c;
          break;
        case 1:
          bad.insert(at, 1, c);
          break;
        default:
          bad.erase(at, 1);
          break;
      }
    }
    try {
      parse(bad);
      ++survivors;
    } catch (const Error&) {
    }
  }
  EXPECT_LT(survivors, 20'000);
}

TEST(Safetensors, huge_numbers_take_no_memory) {
  const std::size_t live = allocator_stats().bytes_live;
  const auto x = [](const std::string& shape, const std::string& offsets) {
    return R"({"x":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  EXPECT_ERROR(parse_header(x("[1000000000000]", "[0,4000000000000]")), "outside the 0 bytes");
  EXPECT_ERROR(parse_header(x("[1000000000000]", "[0,0]")), "needs 4000000000000 bytes and has 0");
  EXPECT_ERROR(parse_header(x("[4294967296,4294967296]", "[0,0]")), "impossible shape");
  EXPECT_ERROR(parse_header(x("[4294967296,4294967296,0]", "[0,0]")), "impossible shape");
  EXPECT_ERROR(parse_header(x("[18446744073709551615]", "[0,0]")), "huge extent");
  EXPECT_ERROR(parse_header(x("[99999999999999999999999]", "[0,0]")), "no integer");
  EXPECT_ERROR(parse_header(x("[1]", "[18446744073709551612,0]"), "1234"), "outside");
  EXPECT_ERROR(parse_header(x("[1]", "[0,18446744073709551615]"), "1234"), "outside");
  std::string absurd = raw_file("{}", "");
  for (std::uint64_t length : {std::uint64_t{100'000'001}, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
    std::memcpy(absurd.data(), &length, 8);
    EXPECT_ERROR(parse(absurd), "header would have");
  }
  const std::uint64_t length = 3;
  std::memcpy(absurd.data(), &length, 8);
  EXPECT_ERROR(parse(absurd), "header is cut short");
  EXPECT_EQ(allocator_stats().bytes_live, live);
}

TEST(Safetensors, layouts_must_cover_the_data_once) {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
  };
  EXPECT_EQ(parse_header(two("[0,2]", "[2,4]"), "abcd").tensors.size(), 2u);
  EXPECT_ERROR(parse_header(two("[0,2]", "[0,2]"), "ab"), "overlap");
  EXPECT_ERROR(parse_header(two("[0,2]", "[1,3]"), "abc"), "overlap");
  EXPECT_ERROR(parse_header(two("[0,2]", "[3,5]"), "abcde"), "hole");
  EXPECT_ERROR(parse_header(two("[1,3]", "[3,5]"), "abcde"), "hole");
  EXPECT_ERROR(parse_header(two("[0,2]", "[2,4]"), "abcde"), "1 bytes after");
  EXPECT_ERROR(parse_header(two("[2,0]", "[2,4]"), "abcd"), "outside");
  EXPECT_ERROR(parse_header(two("[0,1]", "[1,3]"), "abc"), "needs 2 bytes and has 1");
  EXPECT_ERROR(parse_header(two("[0,3]", "[3,5]"), "abcde"), "needs 2 bytes and has 3");
}

TEST(Safetensors, headers_have_one_structure) {
  const std::string item = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ(parse_header(R"({"x":)" + item + "}").tensors.size(), 1u);
  const std::vector<std::pair<std::string, std::string>> cases{
      {" {}", "start with '{'"},
      {"", "start with '{'"},
      {"[]", "start with '{'"},
      {"{", "no JSON"},
      {"{}{}", "no JSON"},
      {"{\"a\"}", "no JSON"},
      {"{\"a\":" + item + ",}", "no JSON"},
      {"{\"\xFF\":" + item + "}", "no JSON"},
      {"{\"x\":" + item + ",\"x\":" + item + "}", "the name 'x' twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "twice"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", "the metadata key 'k' twice"},
      {R"({"__metadata__":{"k":1}})", "a number out of place"},
      {R"({"__metadata__":{"k":{}}})", "an object out of place"},
      {R"({"__metadata__":{"k":[]}})", "a list out of place"},
      {R"({"__metadata__":"k"})", "a text out of place"},
      {R"({"x":null})", "null"},
      {R"({"x":true})", "boolean"},
      {R"({"x":3})", "a number out of place"},
      {R"({"x":[]})", "a list out of place"},
      {R"({"x":{}})", "without dtype"},
      {R"({"x":{"dtype":"U8","shape":[0]}})", "without dtype, shape or data_offsets"},
      {R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0]}})", "without dtype, shape or data_offsets"},
      {R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}})", "more than two"},
      {R"({"x":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}})", "dtype 'F16'"},
      {R"({"x":{"dtype":["U8"],"shape":[0],"data_offsets":[0,0]}})", "a list out of place"},
      {R"({"x":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})", "'dtype' twice"},
      {R"({"x":{"dtype":"U8","shape":"0","data_offsets":[0,0]}})", "a text out of place"},
      {R"({"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}})", "negative"},
      {R"({"x":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}})", "no integer"},
      {R"({"x":{"dtype":"U8","shape":[[0]],"data_offsets":[0,0]}})", "a list out of place"},
      {R"({"x":{"dtype":"U8","shape":[1,1,1,1,1,1,0],"data_offsets":[0,0]}})", "more than 6 axes"},
      {R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":1}})", "unknown key 'more'"},
  };
  for (const auto& [header, part] : cases) EXPECT_ERROR(parse_header(header), part);
  std::string deep = "{\"x\":";
  deep.append(1'000'000, '[');
  EXPECT_ERROR(parse_header(deep), "a list out of place");
  std::string objects = "{\"x\":";
  for (int i = 0; i < 100'000; ++i) objects += "{\"x\":";
  EXPECT_ERROR(parse_header(objects), "unknown key");
}

TEST(Safetensors, the_writer_refuses_what_nobody_could_read) {
  test::TempFolder folder;
  const Tensor t = Tensor::zeros({1});
  EXPECT_ERROR(write_safetensors(folder / "a", {{"x", t}, {"x", t}}), "'x' is used twice");
  EXPECT_ERROR(write_safetensors(folder / "a", {{"__metadata__", t}}), "used twice");
  EXPECT_ERROR(write_safetensors(folder / "a", {{"x", Tensor()}}), "'x' is undefined");
  EXPECT_ERROR(write_safetensors(folder / "a", {{"\xFF", t}}), "not UTF-8");
  EXPECT_ERROR(write_safetensors(folder / "a", {}, {{"k", "\xC3"}}), "not UTF-8");
  EXPECT_ERROR(write_safetensors(folder / "a", {}, {{"octet.checksum", "1"}}), "written by the library");
  EXPECT_FALSE(std::filesystem::exists(folder / "a"));
  const std::string imitation = "\"octet.checksum\":\"crc32c:00000000\"";
  write_safetensors(folder / "a", {{imitation, t}}, {{imitation, imitation}});
  EXPECT_EQ(read_safetensors(folder / "a").meta(imitation), imitation);
}

}  // namespace
}  // namespace octet
