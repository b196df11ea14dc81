// The official CIFAR-10 archive: fetched (libcurl), checked (MD5), unpacked (libarchive).
#pragma once
#include <cstdint>
#include <functional>
#include <string>

namespace octet::data {

inline constexpr const char* kCifar10Url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
inline constexpr const char* kCifar10Md5 = "c32a1d4ab5d03f1284b67883e8d87530";

/// Told the bytes so far and in all.
using DownloadProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Leaves DIR/cifar-10-batches-bin and returns its path; does nothing when it is complete already. A transfer that broke off
/// goes on from DIR/cifar-10-binary.tar.gz.part. Throws Error when the source cannot be reached, the MD5 is not `md5` (the
/// file is then removed), the archive lacks a file, or the disk is full; hints at the binary version when given another.
std::string download_cifar10(const std::string& dir, const std::string& url = kCifar10Url,
                             const DownloadProgress& progress = {}, const std::string& md5 = kCifar10Md5);

}  // namespace octet::data
