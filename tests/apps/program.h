// Starts the built programs as a user would, and reads what they print.
#pragma once
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace octet::test {

using Words = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

Words operator+(Words a, const Words& b);

/// How a program ended and what it printed.
struct Ended {
  int code = -1;   ///< exit code; -1 when a signal ended it
  int signal = 0;  ///< that signal
  std::string out, err;
};

/// A running program; killed with the object. OCTET_DATA and OCTET_ISA are unset unless `environment` has them.
class Program {
 public:
  /// `words`: program and arguments; the program is one of the build's. `folder`: where it starts; "" is here.
  explicit Program(const Words& words, const Environment& environment = {}, const std::string& folder = "");
  ~Program();
  Program(const Program&) = delete;
  void send(int signal) const;
  bool is_running();
  Ended wait();

 private:
  void collect(int status);
  pid_t process_ = -1;
  int out_ = -1, err_ = -1;  ///< unlinked files
  Ended ended_;
};

Ended run_program(const Words& words, const Environment& environment = {}, const std::string& folder = "");
/// mnv1_qat with these words.
Ended mnv1_qat(const Words& words, const Environment& environment = {});
/// Code of mnv1_qat_on_terminal where the machine has no pseudo terminals.
inline constexpr int kNoTerminal = -2;
/// The same with a terminal of this many columns as stdout and stderr; all that it showed is in `out`.
Ended mnv1_qat_on_terminal(const Words& words, int columns);

/// Expects `code` and exactly one line on stderr that contains each of `parts`.
void expect_refused(const Ended& ended, int code, const Words& parts);

/// A training of seconds on generated pictures, and the same words for its parts.
Words small_data();
Words small_pretrain(const std::string& out);
Words small_run(const std::string& out);

/// The bytes of a file; fails the test when it is missing.
std::string bytes_of(const std::string& path);
void write_bytes(const std::string& path, const std::string& bytes);

}  // namespace octet::test
