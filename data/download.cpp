#include "data/download.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "data/dataset.h"

#if OCTET_WITH_DOWNLOAD
#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#endif

namespace octet::data {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "cifar-10-batches-bin";
constexpr std::array<const char*, 7> kFiles{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                            "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin",
                                            "batches.meta.txt"};

bool complete(const fs::path& folder) {
  std::error_code ignored;
  return std::all_of(kFiles.begin(), kFiles.end(),
                     [&](const char* file) { return fs::is_regular_file(folder / file, ignored); });
}

}  // namespace

#if OCTET_WITH_DOWNLOAD
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_file(const fs::path& path, const char* mode) {
  File file(std::fopen(path.c_str(), mode), std::fclose);
  OCTET_CHECK(file != nullptr, "download", "cannot open '{}': {}", path.string(), std::strerror(errno));
  return file;
}

struct Transfer {
  std::FILE* file;
  std::int64_t before;
  const DownloadProgress* progress;
  std::exception_ptr thrown;  // by the progress function: no exception may cross libcurl
};

std::size_t take_bytes(char* bytes, std::size_t size, std::size_t count, void* transfer) {
  return std::fwrite(bytes, size, count, static_cast<Transfer*>(transfer)->file) * size;
}

int report_progress(void* transfer, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
  auto& t = *static_cast<Transfer*>(transfer);
  try {
    if (*t.progress && total > 0) (*t.progress)(t.before + done, t.before + total);
  } catch (...) {
    t.thrown = std::current_exception();
  }
  return t.thrown || t.before + done > kMostBytes;
}

// Appends to `part` what is missing of `url`.
void fetch(const std::string& url, const fs::path& part, const DownloadProgress& progress) {
  const File file = open_file(part, "ab");
  std::fseek(file.get(), 0, SEEK_END);
  const auto before = static_cast<std::int64_t>(std::ftell(file.get()));
  Transfer transfer{file.get(), before, &progress, nullptr};
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  OCTET_CHECK(curl != nullptr, "download", "libcurl cannot start");
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "https,http,file");
  curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);  // timeouts without signals: other threads run
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 100L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, 60L);
  curl_easy_setopt(curl.get(), CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(before));
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_bytes);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, report_progress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  const bool stored = std::fflush(file.get()) == 0;
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  OCTET_CHECK(code != CURLE_ABORTED_BY_CALLBACK, "download", "'{}' has more than {} bytes, which no CIFAR-10 has", url,
              kMostBytes);
  OCTET_CHECK(stored && code != CURLE_WRITE_ERROR, "download", "cannot write '{}' ---> HINT is the disk full?",
              part.string());
  // A source that has no more than what is there already answers with a range error; the checksum decides then.
  if (code == CURLE_OK || code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME) return;
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status == 416) return;
  fail("download", fmt::format("'{}': {}", url, curl_easy_strerror(code)),
       "run it again to go on where it broke off, or give --data DIR");
}

std::string md5_of(const fs::path& path) {
  const File file = open_file(path, "rb");
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  OCTET_CHECK(digest && EVP_DigestInit_ex(digest.get(), EVP_md5(), nullptr) == 1, "download", "libcrypto has no MD5");
  std::array<unsigned char, 1 << 16> block;
  for (std::size_t got; (got = std::fread(block.data(), 1, block.size(), file.get())) > 0;)
    EVP_DigestUpdate(digest.get(), block.data(), got);
  OCTET_CHECK(std::ferror(file.get()) == 0, "download", "cannot read '{}'", path.string());
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum;
  unsigned length = 0;
  EVP_DigestFinal_ex(digest.get(), sum.data(), &length);
  std::string text;
  for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", sum[i]);
  return text;
}

// Only the files that belong to the data set are taken, by their base names, so that no path in the archive matters.
void unpack(const fs::path& packed, const fs::path& folder) {
  const std::unique_ptr<archive, int (*)(archive*)> in(archive_read_new(), archive_read_free);
  archive_read_support_filter_gzip(in.get());
  archive_read_support_format_tar(in.get());
  OCTET_CHECK(archive_read_open_filename(in.get(), packed.c_str(), 1 << 16) == ARCHIVE_OK, "download",
              "'{}' is no .tar.gz: {}", packed.string(), archive_error_string(in.get()));
  archive_entry* entry = nullptr;
  int code = ARCHIVE_OK;
  while ((code = archive_read_next_header(in.get(), &entry)) == ARCHIVE_OK) {
    const char* entry_path = archive_entry_pathname(entry);
    if (entry_path == nullptr) continue;  // not to be written in this locale, so none of ours
    const std::string name = fs::path(entry_path).filename().string();
    OCTET_CHECK(name != "data_batch_1", "download",
                "'{}' is the Python (pickle) version ---> HINT get cifar-10-binary.tar.gz", packed.string());
    if (std::find(kFiles.begin(), kFiles.end(), name) == kFiles.end() || archive_entry_filetype(entry) != AE_IFREG ||
        archive_entry_hardlink(entry) != nullptr)
      continue;
    const auto size = archive_entry_size(entry);
    OCTET_CHECK(size >= 0 && size <= (1 << 26), "download", "'{}' in the archive has {} bytes", name, size);
    std::string bytes(static_cast<std::size_t>(size), '\0');
    OCTET_CHECK(archive_read_data(in.get(), bytes.data(), bytes.size()) == size, "download",
                "'{}' in the archive is damaged", name);
    write_file_atomically((folder / name).string(), bytes);
  }
  OCTET_CHECK(code == ARCHIVE_EOF, "download", "'{}' is damaged: {}", packed.string(), archive_error_string(in.get()));
}

}  // namespace

std::string download_cifar10(const std::string& dir, const std::string& url, const DownloadProgress& progress,
                             const std::string& md5) {
  const fs::path folder = fs::path(dir) / kFolder, part = fs::path(dir) / "cifar-10-binary.tar.gz.part";
  if (complete(folder)) return folder.string();
  std::error_code error;
  fs::create_directories(folder, error);
  OCTET_CHECK(!error, "download", "cannot make the folder '{}': {}", folder.string(), error.message());
  if (!fs::is_regular_file(part, error) || md5_of(part) != md5) fetch(url, part, progress);
  const std::string sum = md5_of(part);
  if (sum != md5) {
    const bool python = url.find("python") != std::string::npos;
    fs::remove(part, error);
    fail("download", fmt::format("the MD5 of '{}' is {} instead of {}", url, sum, md5),
         python ? "this is the Python (pickle) version; the binary one is cifar-10-binary.tar.gz"
                : "the file was removed; run it again");
  }
  unpack(part, folder);
  OCTET_CHECK(complete(folder), "download", "the archive lacks files of CIFAR-10");
  fs::remove(part, error);
  return folder.string();
}
#else
std::string download_cifar10(const std::string& dir, const std::string&, const DownloadProgress&, const std::string&) {
  const fs::path folder = fs::path(dir) / kFolder;
  if (complete(folder)) return folder.string();
  fail("download", "this program was built without libcurl, libcrypto and libarchive",
       "fetch and unpack cifar-10-binary.tar.gz yourself, then --data DIR");
}
#endif

}  // namespace octet::data
