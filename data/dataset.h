// Labelled pictures in memory, and where they come from.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace octet::data {

inline constexpr std::int64_t kSide = 32, kChannels = 3, kPictureBytes = kSide * kSide * kChannels;

/// Pictures as bytes and one label each.
struct Dataset {
  std::string source;  ///< "cifar10", "synthetic" or "pictures"
  Tensor pictures;     ///< u8 N,32,32,3
  Tensor labels;       ///< s32 N, each in [0, class_names.size())
  std::vector<std::string> class_names;
  std::int64_t size() const { return labels.defined() ? labels.numel() : 0; }
  /// The first `count` pictures (all when fewer).
  Dataset first(std::int64_t count) const;
};

struct Split {
  Dataset train, test;
};

/// Only the first pictures of each part; 0: all.
struct Limits {
  std::int64_t train = 0, test = 0;
};

/// Told how many pictures have been read, of how many.
using LoadProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// The official binary layout: data_batch_1..5.bin and test_batch.bin of 10,000 records, each a label byte and three 32x32
/// planes. `dir` is the folder that holds them, or its parent. Throws Error naming the file on a missing, truncated or
/// oversized file, or a label above 9 among the pictures wanted; the Python (pickle) version gets a hint.
Split load_cifar10(const std::string& dir, const Limits& limits = {});
/// Does `dir`, or the official folder in it, hold any file of CIFAR-10, binary or pickle?
bool looks_like_cifar10(const std::string& dir);
/// One such file of any whole number of records up to 10,000; `expected` records when not 0.
Dataset load_cifar10_file(const std::string& path, std::int64_t expected = 0);

/// "shapes": ten kinds of figures in random pose and colour over a gradient with clutter and noise; a function of the seed.
Split synthetic_shapes(std::uint64_t seed, std::int64_t train_pictures = 20000, std::int64_t test_pictures = 4000);

/// `where` as given on the command line: "synthetic", a CIFAR-10 folder, a folder of picture folders (picture_folder.h; taken for
/// one when it holds folders and no file of CIFAR-10), or "auto": $OCTET_DATA, then ./data/cifar-10-batches-bin, else
/// synthetic (20,000 and 4,000 pictures of seed 2026). `progress` is told of picture folders, which take long.
Split load(const std::string& where, const Limits& limits = {}, const LoadProgress& progress = {});

}  // namespace octet::data
