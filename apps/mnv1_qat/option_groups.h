// Options that several subcommands share, by group, and how an option is made: checked, with its default in the help,
// the last one given counts.
#pragma once
#include <CLI/CLI.hpp>
#include <charconv>
#include <limits>
#include <map>
#include <string>
#include <type_traits>

#include "apps/mnv1_qat/options.h"
#include "core/error.h"
#include "core/parallel.h"

namespace octet::app {

/// CLI11's own checks let NaN pass, and -1 for an unsigned number.
template <class T>
CLI::Validator in_range(const std::string& wanted, T low, T high) {
  const auto check = [=](const std::string& text) {
    T x{};
    const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), x);
    const bool good = error == std::errc() && stopped == text.data() + text.size() && x >= low && x <= high;
    constexpr const char* kind = std::is_integral_v<T> ? "a whole number" : "a number";
    return good ? std::string() : fmt::format("must be {}, {}; it is '{}'", kind, wanted, text);
  };
  return CLI::Validator(check, wanted, "number");
}

template <class T>
CLI::Validator whole(T low, T high) {
  return in_range(fmt::format("{} to {}", low, high), low, high);
}

CLI::Validator above_zero();
inline const auto kCount = in_range<std::int64_t>("0 or more", 0, std::numeric_limits<std::int64_t>::max());
inline constexpr std::int64_t kEpochs = 100000, kLargestBatch = 100000;

template <class T>
CLI::Option* add(CLI::App* app, const std::string& flag, T& value, const std::string& help) {
  return app->add_option(flag, value, help)->capture_default_str()->take_last();
}

template <class T>
CLI::Option* add_choice(CLI::App* app, const std::string& flag, T& value, const std::map<std::string, T>& names,
                        const std::string& help) {
  std::string list, now;
  for (const auto& [name, one] : names) {
    list += (list.empty() ? "" : "|") + name;
    if (one == value) now = name;
  }
  const auto assign = [&value, names](const std::string& text) { value = names.at(text); };
  const auto check = [names, list](const std::string& text) {
    return names.contains(text) ? std::string() : fmt::format("must be {}; it is '{}'", list, text);
  };
  return app->add_option_function<std::string>(flag, assign, help)
      ->check(CLI::Validator(check, "", "choice"))
      ->type_name(list)
      ->default_str(now)
      ->take_last();
}

/// --data, --download …, --limit-test.
void add_test_data(CLI::App* app, Options& o);
/// These and --limit-train.
void add_data(CLI::App* app, Options& o);
/// --net, --scale, --variant, --init.
void add_model(CLI::App* app, Options& o);
void add_device(CLI::App* app, Options& o, const std::string& help);
/// Of a training: batch size, rate, schedule, augmentation ….
void add_training(CLI::App* app, Options& o);
/// --epochs, --coarse-epochs.
void add_pretraining(CLI::App* app, Options& o);
/// --seed, --deterministic, --quiet, --json, --config.
void add_general(CLI::App* app, Options& o);
void add_threads(CLI::App* app, Options& o);
void add_profile(CLI::App* app, Options& o);
void add_out(CLI::App* app, std::string& value, const std::string& help);
/// The positional file of a model.
void add_model_file(CLI::App* app, Options& o, const std::string& help);

}  // namespace octet::app
