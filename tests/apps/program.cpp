#include "program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace octet::test {
namespace {

int unlinked_file() {
  std::string name = (std::filesystem::temp_directory_path() / "octet-output-XXXXXX").string();
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  ::unlink(name.c_str());
  return fd;
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  ::lseek(fd, 0, SEEK_SET);
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(got));
  return text;
}

// In the child: becomes the program.
[[noreturn]] void become(const Words& words, const Environment& environment, const std::string& folder) {
  for (const char* name : {"OCTET_DATA", "OCTET_ISA", "OCTET_KERNEL", "OCTET_VERBOSE"}) ::unsetenv(name);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!folder.empty() && ::chdir(folder.c_str()) != 0) ::_exit(126);
  const std::string program = std::string(OCTET_BIN_DIR) + "/" + words[0];
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

}  // namespace

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Program::Program(const Words& words, const Environment& environment, const std::string& folder)
    : out_(unlinked_file()), err_(unlinked_file()) {
  process_ = ::fork();
  if (process_ != 0) return;
  ::dup2(out_, STDOUT_FILENO);
  ::dup2(err_, STDERR_FILENO);
  become(words, environment, folder);
}

Program::~Program() {
  if (process_ > 0) {
    send(SIGKILL);
    wait();
  }
  ::close(out_);
  ::close(err_);
}

void Program::send(int signal) const {
  if (process_ > 0) ::kill(process_, signal);
}

void Program::collect(int status) {
  process_ = -1;
  ended_.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ended_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  ended_.out = read_all(out_);
  ended_.err = read_all(err_);
}

bool Program::is_running() {
  int status = 0;
  if (process_ > 0 && ::waitpid(process_, &status, WNOHANG) == process_) collect(status);
  return process_ > 0;
}

Ended Program::wait() {
  int status = 0;
  if (process_ > 0 && ::waitpid(process_, &status, 0) == process_) collect(status);
  return ended_;
}

Ended run_program(const Words& words, const Environment& environment, const std::string& folder) {
  return Program(words, environment, folder).wait();
}

Ended mnv1_qat(const Words& words, const Environment& environment) {
  return run_program(Words{"mnv1_qat"} + words, environment);
}

Ended mnv1_qat_on_terminal(const Words& words, int columns) {
  const winsize size{24, static_cast<unsigned short>(columns), 0, 0};
  int terminal = -1;
  const pid_t process = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (process < 0) return {.code = kNoTerminal, .signal = 0, .out = {}, .err = {}};
  if (process == 0) become(Words{"mnv1_qat"} + words, {}, "");
  Ended ended;
  char buffer[4096];
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof buffer)) > 0;)
    ended.out.append(buffer, static_cast<std::size_t>(got));
  int status = 0;
  ::waitpid(process, &status, 0);
  ::close(terminal);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

void expect_refused(const Ended& ended, int code, const Words& parts) {
  EXPECT_EQ(ended.code, code) << ended.out << ended.err;
  EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  EXPECT_TRUE(ended.err.starts_with("mnv1_qat: ") && ended.err.ends_with("\n")) << ended.err;
  for (const std::string& part : parts)
    EXPECT_NE(ended.err.find(part), std::string::npos) << "'" << part << "' is missing in: " << ended.err;
}

Words small_data() { return {"--data", "synthetic", "--limit-test", "40"}; }

Words small_pretrain(const std::string& out) {
  return small_data() +
         Words{"--limit-train", "128", "--scale", "0.25", "--batch-size", "16", "--epochs", "2", "--out", out};
}

Words small_run(const std::string& out) { return small_pretrain(out) + Words{"--qat-epochs", "1"}; }

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path << " cannot be read";
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  ASSERT_TRUE(file.good()) << path;
}

}  // namespace octet::test
