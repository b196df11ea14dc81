#include "apps/mnv1_qat/onnx_check.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/mnv1_qat/verify_onnx_script.h"
#include "core/error.h"
#include "core/file.h"
#include "core/npy.h"
#include "core/scratch_folder.h"

namespace octet::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhere = "verify";
constexpr int kNoRuntime = 77, kNotFound = 127;  // of the script; of one that spawns a program that is not there
constexpr std::size_t kMostText = std::size_t{1} << 20;

/// Runs a program with its output in files; its exit code, kNotFound when it cannot be started.
int run_program(const std::vector<std::string>& words, const std::string& out, const std::string& err) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t process = -1;
  const int error = ::posix_spawnp(&process, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return kNotFound;
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The last line that is not empty.
std::string last_line(const std::string& file) {
  std::string text = fs::exists(file) ? read_file(file, kMostText) : "";
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  const std::size_t end = text.find_last_of('\n');
  return end == std::string::npos ? text : text.substr(end + 1);
}

}  // namespace

std::string find_python(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* set = std::getenv("OCTET_PYTHON"); set != nullptr && *set != '\0') return set;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  // build/release/bin/mnv1_qat → build/python
  const fs::path beside = program.parent_path().parent_path().parent_path() / "python" / "bin" / "python";
  return !error && ::access(beside.c_str(), X_OK) == 0 ? beside.string() : "python3";
}

OnnxCheck check_onnx(const std::string& python, const std::string& onnx_file, const Tensor& pictures,
                     const Tensor& logits) {
  OCTET_CHECK(fs::exists(onnx_file), kWhere, "there is no '{}'", onnx_file);
  const ScratchFolder folder;
  const std::string script = folder.path("verify_onnx.py"), out = folder.path("out"), err = folder.path("err");
  write_file_atomically(script, kVerifyOnnxScript);
  write_npy(folder.path("pictures.npy"), pictures);
  write_npy(folder.path("logits.npy"), logits);
  const int code = run_program(
      {python, script, onnx_file, "--pictures", folder.path("pictures.npy"), "--logits", folder.path("logits.npy")},
      out, err);
  OnnxCheck check;
  if (code == kNotFound) check.skipped = fmt::format("cannot start '{}'", python);
  if (code == kNoRuntime) check.skipped = fmt::format("'{}' has no ONNX Runtime", python);
  if (!check.skipped.empty()) return check;
  OCTET_CHECK(code == 0, kWhere, "ONNX Runtime with '{}': {}", onnx_file, last_line(err));
  const auto j = nlohmann::json::parse(last_line(out), nullptr, false);
  OCTET_CHECK(
      j.is_object() && j.contains("bit_equal") && j.contains("classes_equal") && j.contains("largest_difference"),
      kWhere, "'{}' answers '{}'", python, last_line(out));
  check.runtime = j.value("runtime", "") + " " + j.value("version", "");
  check.bit_equal = j["bit_equal"].get<bool>();
  check.classes_equal = j["classes_equal"].get<double>();
  check.largest_difference = j["largest_difference"].get<double>();
  return check;
}

}  // namespace octet::app
