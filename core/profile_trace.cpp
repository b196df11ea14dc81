// The Trace Event Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
#include <fmt/format.h>

#include <iterator>

#include "core/error.h"
#include "core/file.h"
#include "core/profile_data.h"

namespace octet::profile {
namespace {

constexpr std::size_t kBlock = 1 << 16;  // written at a time

/// Appends `text` as a JSON string. Names are UTF-8 as the program has them.
void append_quoted(fmt::memory_buffer& to, std::string_view text) {
  to.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      to.push_back('\\');
      to.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(to), "\\u{:04x}", static_cast<int>(c));
    } else {
      to.push_back(c);
    }
  }
  to.push_back('"');
}

void append_name(fmt::memory_buffer& to, const char* what, int thread, std::string_view name) {
  fmt::format_to(std::back_inserter(to),
                 "{{\"name\":\"{}\",\"ph\":\"M\",\"pid\":1,\"tid\":{},\"args\":{{\"name\":", what, thread);
  append_quoted(to, name);
  to.append(std::string_view("}},\n"));
}

void append_span(fmt::memory_buffer& to, const SpanView& span) {
  to.append(std::string_view("{\"name\":"));
  append_quoted(to, span.name);
  fmt::format_to(std::back_inserter(to),
                 ",\"cat\":\"{}\",\"ph\":\"X\",\"ts\":{}.{:03},\"dur\":{}.{:03},\"pid\":1,\"tid\":{}",
                 name_of(span.kind), span.start / 1000, span.start % 1000, span.duration / 1000, span.duration % 1000,
                 span.thread);
  if (!span.detail.empty() || !span.path.empty()) {
    to.append(std::string_view(",\"args\":{"));
    if (!span.path.empty()) {
      to.append(std::string_view("\"module\":"));
      append_quoted(to, span.path);
    }
    if (!span.detail.empty()) {
      to.append(std::string_view(span.path.empty() ? "\"detail\":" : ",\"detail\":"));
      append_quoted(to, span.detail);
    }
    to.push_back('}');
  }
  to.append(std::string_view("},\n"));
}

}  // namespace

void write_trace(const std::string& path) {
  write_file_atomically(path, [](FileSink& sink) {
    fmt::memory_buffer text;
    const auto flush = [&] {
      sink.write(text.data(), text.size());
      text.clear();
    };
    fmt::format_to(std::back_inserter(text),
                   "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"spans left out\":\"{}\"}},\n\"traceEvents\":[\n",
                   dropped_spans());
    const std::vector<std::string> threads = thread_names();
    for (std::size_t i = 0; i < threads.size(); ++i) append_name(text, "thread_name", static_cast<int>(i), threads[i]);
    for_each_span([&](const SpanView& span) {
      append_span(text, span);
      if (text.size() >= kBlock) flush();
    });
    append_name(text, "process_name", 0, "octet");
    text.resize(text.size() - 2);  // the last comma
    text.append(std::string_view("\n]}\n"));
    flush();
  });
}

}  // namespace octet::profile
