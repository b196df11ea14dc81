#include "data/picture_folder.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "core/parallel.h"
#include "data/image_file.h"

namespace octet::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhere = "pictures";
constexpr std::size_t kLeastClasses = 2, kMostClasses = 10000, kMostPictures = 2000000;
constexpr std::uint64_t kTestShare = 5;  // every fifth
constexpr std::int64_t kBlock = 64;      // pictures between two words to the progress

/// FNV-1a of 64 bits, its bits mixed once more (the last steps of splitmix64): low bits of FNV of similar names are
/// similar.
std::uint64_t hash_of(const std::string& text) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  return h ^ (h >> 31);
}

/// Fit for a message of one line.
std::string shown(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  return text;
}

/// Well-formed UTF-8 without control characters: such names can go into a model file.
bool is_plain_utf8(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < ' ' || lead == 0x7f) return false;
    const int length = lead < 0x80                   ? 1
                       : lead >= 0xc2 && lead < 0xe0 ? 2
                       : lead >= 0xe0 && lead < 0xf0 ? 3
                       : lead >= 0xf0 && lead < 0xf5 ? 4
                                                     : 0;
    if (length == 0 || i + static_cast<std::size_t>(length) > text.size()) return false;
    std::uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (int k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]);
      if ((next & 0xc0u) != 0x80u) return false;
      code = code << 6 | (next & 0x3fu);
    }
    if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000) || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000))
      return false;
    i += static_cast<std::size_t>(length);
  }
  return true;
}

/// What a folder holds, in byte order, without hidden names.
std::vector<fs::path> entries_of(const fs::path& dir) {
  std::vector<fs::path> all;
  std::error_code error;
  for (fs::directory_iterator at(dir, error), end; !error && at != end; at.increment(error))
    if (!at->path().filename().native().starts_with('.')) all.push_back(at->path());
  OCTET_CHECK(!error, kWhere, "cannot read the folder '{}': {}", shown(dir.native()), error.message());
  std::sort(all.begin(), all.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return all;
}

/// The kind of file behind a name, links followed.
fs::file_type type_of(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  OCTET_CHECK(type != fs::file_type::none && type != fs::file_type::not_found, kWhere, "cannot read '{}': {}",
              shown(path.native()), error ? error.message() : "a link that leads nowhere");
  return type;
}

struct Picture {
  fs::path path;
  std::int32_t label = 0;
  std::uint64_t hash = 0;
};

/// A part, or the whole, of a data set: a folder per class.
struct Classes {
  fs::path dir;
  std::vector<std::string> names;
  std::vector<Picture> pictures;  ///< class by class
};

void add_class(Classes& part, const fs::path& folder) {
  const std::string name = folder.filename().native();
  OCTET_CHECK(is_plain_utf8(name), kWhere, "the class folder '{}' has no name in UTF-8 ---> HINT rename it",
              shown(folder.native()));
  const std::size_t before = part.pictures.size();
  for (const fs::path& file : entries_of(folder)) {
    const fs::file_type type = type_of(file);
    OCTET_CHECK(shown(file.native()) == file.native(), kWhere,
                "'{}' has control characters in its name ---> HINT rename it", shown(file.native()));
    if (type == fs::file_type::directory)
      fail(kWhere, fmt::format("'{}' is a folder inside a class", shown(file.native())),
           "class folders hold pictures alone: DIR/CLASS/picture.png");
    if (type != fs::file_type::regular || !has_picture_name(file))
      fail(kWhere, fmt::format("'{}' is no .png, .jpg or .jpeg file", shown(file.native())),
           "remove it, or give its name a dot in front");
    part.pictures.push_back(
        {file, static_cast<std::int32_t>(part.names.size()), hash_of(name + "/" + file.filename().native())});
  }
  OCTET_CHECK(part.pictures.size() > before, kWhere, "the class folder '{}' holds no picture", shown(folder.native()));
  OCTET_CHECK(part.pictures.size() <= kMostPictures, kWhere, "'{}' holds more than {} pictures",
              shown(part.dir.native()), kMostPictures);
  part.names.push_back(name);
}

Classes classes_in(const fs::path& dir) {
  Classes part{dir, {}, {}};
  std::vector<fs::path> folders;
  for (const fs::path& entry : entries_of(dir)) {
    const fs::file_type type = type_of(entry);
    if (type == fs::file_type::directory) folders.push_back(entry);
    if (type != fs::file_type::directory && has_picture_name(entry))
      fail(kWhere, fmt::format("'{}' lies in no class", shown(entry.native())),
           "put each picture into a folder of its class: DIR/CLASS/picture.png");
  }
  OCTET_CHECK(folders.size() >= kLeastClasses && folders.size() <= kMostClasses, kWhere,
              "'{}' holds {} class folders; {} to {} are needed ---> HINT DIR/CLASS/picture.png, or "
              "DIR/train/CLASS/picture.png and DIR/test/CLASS/…",
              shown(dir.native()), folders.size(), kLeastClasses, kMostClasses);
  for (const fs::path& folder : folders) add_class(part, folder);
  return part;
}

/// Is this one of the two parts of a set: a folder of folders?
bool is_part(const fs::path& dir) {
  std::error_code ignored;
  return fs::is_directory(dir, ignored) && holds_folders(dir.native());
}

void require_same_classes(const Classes& train, const Classes& test) {
  for (const auto& [a, b] : {std::pair{&train, &test}, std::pair{&test, &train}})
    for (const std::string& name : a->names)
      OCTET_CHECK(std::binary_search(b->names.begin(), b->names.end(), name), kWhere,
                  "class '{}' has no folder in '{}'", shown((a->dir / name).native()), shown(b->dir.native()));
}

/// DIR/CLASS/… by falls_to_test().
std::pair<Classes, Classes> split(const Classes& all) {
  Classes train{all.dir, all.names, {}}, test = train;
  std::vector<int> trained(all.names.size());
  for (const Picture& picture : all.pictures) {
    const bool tests = picture.hash % kTestShare == 0;
    (tests ? test : train).pictures.push_back(picture);
    trained[static_cast<std::size_t>(picture.label)] += !tests;
  }
  constexpr const char* kHint = "add pictures, or make the parts yourself: DIR/train/CLASS/… and DIR/test/CLASS/…";
  for (std::size_t i = 0; i < trained.size(); ++i)
    if (trained[i] == 0)
      fail(kWhere, fmt::format("every picture of class '{}' falls to the test part", all.names[i]), kHint);
  if (test.pictures.empty())
    fail(kWhere,
         fmt::format("none of the {} pictures in '{}' falls to the test part", all.pictures.size(),
                     shown(all.dir.native())),
         kHint);
  return {std::move(train), std::move(test)};
}

/// Mixed, and of `limit` the first ones.
std::vector<Picture> chosen(std::vector<Picture> pictures, std::int64_t limit) {
  std::sort(pictures.begin(), pictures.end(), [](const Picture& a, const Picture& b) {
    return std::pair(a.hash, a.path.native()) < std::pair(b.hash, b.path.native());
  });
  if (limit > 0 && static_cast<std::size_t>(limit) < pictures.size()) pictures.resize(static_cast<std::size_t>(limit));
  return pictures;
}

/// Reads both parts, counting for the progress.
class Reader {
 public:
  Reader(std::int64_t total, const LoadProgress& progress) : total_(total), progress_(progress) {}

  Dataset read(const std::vector<Picture>& pictures, const std::vector<std::string>& names) {
    const auto count = static_cast<std::int64_t>(pictures.size());
    Dataset set{"pictures", Tensor({count, kSide, kSide, kChannels}, DType::u8), Tensor({count}, DType::s32), names};
    std::uint8_t* pixels = set.pictures.data<std::uint8_t>();
    std::int32_t* labels = set.labels.data<std::int32_t>();
    for (std::int64_t begin = 0; begin < count; begin += kBlock) {
      const std::int64_t block = std::min(kBlock, count - begin);
      parallel_for(block, [&](std::int64_t i) {
        const std::int64_t at = begin + i;
        const Picture& picture = pictures[static_cast<std::size_t>(at)];
        const Tensor small = resize_picture(read_picture(picture.path.native()), kSide, kSide);
        std::copy_n(small.data<std::uint8_t>(), kPictureBytes, pixels + at * kPictureBytes);
        labels[at] = picture.label;
      });
      done_ += block;
      if (progress_) progress_(done_, total_);
    }
    return set;
  }

 private:
  std::int64_t total_, done_ = 0;
  const LoadProgress& progress_;
};

}  // namespace

bool holds_folders(const std::string& dir) {
  std::error_code ignored;
  const std::vector<fs::path> entries = entries_of(dir);
  return std::any_of(entries.begin(), entries.end(),
                     [&](const fs::path& entry) { return fs::is_directory(entry, ignored); });
}

bool falls_to_test(const std::string& class_name, const std::string& file_name) {
  return hash_of(class_name + "/" + file_name) % kTestShare == 0;
}

Split load_picture_folder(const std::string& dir, const Limits& limits, const LoadProgress& progress) {
  const fs::path root(dir), train_dir = root / "train", test_dir = root / "test";
  const bool has_train = is_part(train_dir), has_test = is_part(test_dir);
  if (has_train != has_test)
    fail(kWhere,
         fmt::format("'{}' has a folder '{}' of classes, but none named '{}'", shown(dir), has_train ? "train" : "test",
                     has_train ? "test" : "train"),
         "give both, or the class folders alone: DIR/CLASS/picture.png");
  auto [train, test] = has_train ? std::pair(classes_in(train_dir), classes_in(test_dir)) : split(classes_in(root));
  require_same_classes(train, test);
  const auto train_pictures = chosen(std::move(train.pictures), limits.train),
             test_pictures = chosen(std::move(test.pictures), limits.test);
  Reader reader(static_cast<std::int64_t>(train_pictures.size() + test_pictures.size()), progress);
  Dataset trained = reader.read(train_pictures, train.names);
  return {std::move(trained), reader.read(test_pictures, test.names)};
}

}  // namespace octet::data
