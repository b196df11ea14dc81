#include "benchmarks/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace octet::bench {
namespace {

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// Ours, with `added` instead of variables of the same name.
std::vector<std::string> environment_with(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry, name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const std::string& other : added) replaced |= other.starts_with(name);
    if (!replaced) all.push_back(text);
  }
  return all;
}

}  // namespace

Worker::Worker(std::string name, const std::vector<std::string>& argv, const std::vector<std::string>& environment)
    : name_(std::move(name)) {
  int in[2], out[2];
  OCTET_CHECK(pipe2(in, O_CLOEXEC) == 0, "octet_bench", "{}: no pipe: {}", name_, std::strerror(errno));
  if (pipe2(out, O_CLOEXEC) != 0) {
    close(in[0]), close(in[1]);
    fail("octet_bench", fmt::format("{}: no pipe: {}", name_, std::strerror(errno)));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  const std::vector<std::string> variables = environment_with(environment);
  const int error = posix_spawnp(&pid_, argv.at(0).c_str(), &actions, nullptr, pointers_to(argv).data(),
                                 pointers_to(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]), close(out[1]);
  to_ = in[1], from_ = out[0];
  if (error != 0) {
    close(to_), close(from_);
    fail("octet_bench", fmt::format("{}: cannot start '{}': {}", name_, argv[0], std::strerror(error)));
  }
  signal(SIGPIPE, SIG_IGN);  // a child that has ended shows when its answer is read
}

Worker::~Worker() {
  close(to_), close(from_);
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

std::string Worker::read_line(int timeout_seconds) {
  for (;;) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    pollfd ready{from_, POLLIN, 0};
    const int events = poll(&ready, 1, timeout_seconds * 1000);
    if (events < 0 && errno == EINTR) continue;
    OCTET_CHECK(events != 0, "octet_bench", "{} says nothing for {} s", name_, timeout_seconds);
    char text[4096];
    const ssize_t count = read(from_, text, sizeof text);
    OCTET_CHECK(count > 0, "octet_bench", "{} ended before it answered{}{}", name_, last_words_.empty() ? "" : ": ",
                last_words_);
    buffer_.append(text, static_cast<std::size_t>(count));
    OCTET_CHECK(buffer_.size() < (1u << 20), "octet_bench", "{} answers with a line without end", name_);
  }
}

nlohmann::json Worker::answer(int timeout_seconds) {
  for (;;) {
    std::string line = read_line(timeout_seconds);
    nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object()) return json;
    last_words_ = std::move(line);
  }
}

nlohmann::json Worker::ask(const std::string& line, int timeout_seconds) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = write(to_, text.data() + sent, text.size() - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;  // answer() tells why
    sent += static_cast<std::size_t>(count);
  }
  return answer(timeout_seconds);
}

}  // namespace octet::bench
