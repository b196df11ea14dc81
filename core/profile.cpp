#include "core/profile.h"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/profile_data.h"

namespace octet::profile {

namespace detail {
std::atomic<bool> recording{false};
}

namespace {

constexpr std::size_t kCoarseSpans = 1'000'000;

using Text = const std::string*;  // interned: equal texts have equal addresses, and live as long as the program

struct Scope {
  Text path, kind;
};

struct Open {
  Kind kind;
  Text name, detail;
  const Scope* scope;  // of what is inside, too
  Text outer_step, outer_phase;
  std::int64_t start, inside = 0;
};

struct Kept {
  Kind kind;
  Text name, detail;
  const Scope* scope;
  std::int64_t start, duration;
};

struct Key {
  Text stage, step, phase, name, detail;
  const Scope* scope;
  Kind kind;
  bool operator==(const Key&) const = default;
};

struct HashOfKey {
  std::size_t operator()(const Key& key) const {
    std::size_t hash = static_cast<std::size_t>(key.kind);
    const auto mix = [&](const void* p) { hash = (hash ^ reinterpret_cast<std::uintptr_t>(p)) * 0x9E3779B97F4A7C15u; };
    for (const Text text : {key.stage, key.step, key.phase, key.name, key.detail}) mix(text);
    mix(key.scope);
    return hash ^ (hash >> 32);
  }
};

struct Sum {
  std::uint64_t calls = 0;
  std::int64_t duration = 0, own = 0;
};

/// What one thread recorded. Only that thread touches `open`, `step` and `phase`; the rest is under `mutex`, because start()
/// and readers come from elsewhere.
struct Line {
  std::string name;
  std::vector<Open> open;
  Text step = nullptr, phase = nullptr;

  std::mutex mutex;
  std::vector<Kept> kept;
  std::unordered_map<Key, Sum, HashOfKey> sums;
};

struct State {
  std::mutex mutex;  // for everything up to the next blank line
  std::unordered_set<std::string> texts;
  std::map<std::pair<Text, Text>, Scope> scopes;
  std::unordered_map<const void*, const Scope*> scope_of;
  std::vector<std::unique_ptr<Line>> lines;  // by number; a line outlives its thread
  std::vector<Line*> idle;                   // of threads that ended

  std::atomic<Text> stage{nullptr};
  std::atomic<std::int64_t> began{0}, budget{0}, coarse_budget{0};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::size_t> spans_per_stage{0};
};

/// Never destroyed: threads may end after every destructor we could order.
State& state() {
  static State* const instance = new State;
  return *instance;
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// The caller holds state().mutex.
Text interned(std::string_view text) { return &*state().texts.emplace(text).first; }

Text locked_interned(std::string_view text) {
  const std::lock_guard lock(state().mutex);
  return interned(text);
}

/// A line of that name that no thread writes any more, or a new one.
Line* take_line(const std::string& name) {
  const std::lock_guard lock(state().mutex);
  auto& idle = state().idle;
  for (auto at = idle.begin(); at != idle.end(); ++at) {
    if ((*at)->name != name) continue;
    Line* line = *at;
    idle.erase(at);
    return line;
  }
  state().lines.push_back(std::make_unique<Line>());
  state().lines.back()->name = name;
  return state().lines.back().get();
}

/// This thread's line, taken at its first span and given back when the thread ends.
struct Holder {
  std::string name = "main";
  Line* line = nullptr;
  ~Holder() {
    if (line == nullptr) return;
    const std::lock_guard lock(state().mutex);
    state().idle.push_back(line);
  }
};
thread_local Holder holder;

Line& own_line() {
  if (holder.line == nullptr) holder.line = take_line(holder.name);
  return *holder.line;
}

bool is_part_of_a_layer(Kind kind) { return kind <= Kind::op; }

bool may_keep(Kind kind) {
  auto& budget = kind <= Kind::phase ? state().coarse_budget : state().budget;
  if (budget.fetch_sub(1, std::memory_order_relaxed) > 0) return true;
  state().dropped.fetch_add(1, std::memory_order_relaxed);
  return false;
}

const Scope* scope_of(const void* scope) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().scope_of.find(scope);
  return found == state().scope_of.end() ? nullptr : found->second;
}

void open_span(Kind kind, Text name, Text detail, const Scope* scope) {
  Line& line = own_line();
  if (scope == nullptr && !line.open.empty()) scope = line.open.back().scope;
  line.open.push_back({kind, name, detail, scope, line.step, line.phase, 0});
  if (kind == Kind::step) line.step = name;
  if (kind == Kind::phase) line.phase = name;
  line.open.back().start = now();
}

void close_span() {
  const std::int64_t end = now();
  Line& line = *holder.line;
  const Open span = line.open.back();
  line.open.pop_back();
  const std::int64_t duration = end - span.start;
  const Key key{state().stage.load(), line.step, line.phase, span.name, span.detail, span.scope, span.kind};
  line.step = span.outer_step, line.phase = span.outer_phase;
  for (auto outer = line.open.rbegin(); outer != line.open.rend(); ++outer) {
    if (is_part_of_a_layer(span.kind) ? !is_part_of_a_layer(outer->kind) : outer->kind != span.kind) continue;
    outer->inside += duration;
    break;
  }
  const std::lock_guard lock(line.mutex);
  if (span.start < state().began.load()) return;  // of a recording before this one
  Sum& sum = line.sums[key];
  ++sum.calls, sum.duration += duration, sum.own += duration - span.inside;
  if (may_keep(span.kind)) line.kept.push_back({span.kind, span.name, span.detail, span.scope, span.start, duration});
}

}  // namespace

const char* name_of(Kind kind) {
  constexpr const char* kNames[] = {"stage", "step", "phase", "module", "op", "kernel", "task"};
  return kNames[static_cast<int>(kind)];
}

void start(std::size_t spans_per_stage) {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  for (const auto& line : all.lines) {
    const std::lock_guard line_lock(line->mutex);
    line->kept.clear();
    line->sums.clear();
  }
  all.spans_per_stage = spans_per_stage;
  all.budget = static_cast<std::int64_t>(spans_per_stage);
  all.coarse_budget = kCoarseSpans;
  all.dropped = 0;
  all.stage = interned("");
  all.began = now();
  detail::recording = true;
}

void stop() { detail::recording = false; }

void Span::begin(Kind kind, std::string_view name, const void* scope, std::string_view detail) noexcept {
  const Scope* const named = scope == nullptr ? nullptr : scope_of(scope);
  Text name_text, detail_text;
  {
    const std::lock_guard lock(state().mutex);
    name_text = interned(name), detail_text = interned(detail);
  }
  open_span(kind, name_text, detail_text, named);
}

void Span::end() noexcept { close_span(); }

bool enter_scope(const void* scope) noexcept {
  const Scope* const named = scope_of(scope);
  if (named == nullptr) return false;
  static const Text nothing = locked_interned("");
  open_span(Kind::module, named->path->empty() ? named->kind : named->path, nothing, named);
  return true;
}

void leave_scope() noexcept { close_span(); }

void name_scope(const void* scope, const std::string& path, const std::string& kind) {
  const std::lock_guard lock(state().mutex);
  const std::pair<Text, Text> texts{interned(path), interned(kind)};
  state().scope_of[scope] = &state().scopes.emplace(texts, Scope{texts.first, texts.second}).first->second;
}

void name_thread(const std::string& name) {
  if (holder.line == nullptr) holder.name = name;
}

Stage::Stage(std::string_view name) : span_(Kind::stage, name) {
  const Text before = state().stage.load();
  if (before != nullptr) before_ = *before;
  if (!on()) return;
  state().stage = locked_interned(name);
  state().budget = static_cast<std::int64_t>(state().spans_per_stage.load());
}

// The span itself, which ends after this, belongs to the stage around it.
Stage::~Stage() {
  if (state().stage.load() != nullptr) state().stage = locked_interned(before_);
}

void for_each_span(const std::function<void(const SpanView&)>& visit) {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  for (std::size_t i = 0; i < all.lines.size(); ++i) {
    const std::lock_guard line_lock(all.lines[i]->mutex);
    for (const Kept& span : all.lines[i]->kept)
      visit({span.kind, *span.name, *span.detail,
             span.scope == nullptr ? std::string_view() : std::string_view(*span.scope->path),
             span.start - all.began.load(), span.duration, static_cast<int>(i)});
  }
}

std::vector<std::string> thread_names() {
  const std::lock_guard lock(state().mutex);
  std::vector<std::string> names;
  for (const auto& line : state().lines) names.push_back(line->name);
  return names;
}

std::uint64_t dropped_spans() { return state().dropped.load(); }

std::vector<Total> totals() {
  State& all = state();
  const std::lock_guard lock(all.mutex);
  const auto text = [](Text t) { return t == nullptr ? std::string() : *t; };
  std::map<std::tuple<std::string, std::string, std::string, Kind, std::string, std::string, std::string>, Total>
      merged;
  for (const auto& line : all.lines) {
    const std::lock_guard line_lock(line->mutex);
    for (const auto& [key, sum] : line->sums) {
      const std::string path = key.scope == nullptr ? "" : *key.scope->path;
      Total& total = merged[{text(key.stage), text(key.step), text(key.phase), key.kind, path, *key.name, *key.detail}];
      total.stage = text(key.stage), total.step = text(key.step), total.phase = text(key.phase);
      total.kind = key.kind, total.name = *key.name, total.detail = *key.detail, total.path = path;
      total.path_kind = key.scope == nullptr ? "" : *key.scope->kind;
      total.calls += sum.calls;
      total.seconds += static_cast<double>(sum.duration) * 1e-9;
      total.own_seconds += static_cast<double>(sum.own) * 1e-9;
    }
  }
  std::vector<Total> list;
  for (auto& [key, total] : merged) list.push_back(std::move(total));
  return list;
}

}  // namespace octet::profile
