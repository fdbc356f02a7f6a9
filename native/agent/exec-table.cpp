#include "agent/exec-table.h"

#include <algorithm>

#include "agent/clock.h"

namespace plybox {
namespace {

constexpr size_t kKeptFinished = 64;

}  // namespace

Exec& ExecTable::add(std::unique_ptr<Exec> exec) { return *execs_.emplace_back(std::move(exec)); }

Exec* ExecTable::find(std::string_view id) const {
  for (const std::unique_ptr<Exec>& exec : execs_) {
    if (exec->id() == id && !exec->forgotten()) return exec.get();
  }
  return nullptr;
}

Exec* ExecTable::find_running(pid_t pid) const {
  for (const std::unique_ptr<Exec>& exec : execs_) {
    if (exec->pid() == pid && exec->running()) return exec.get();
  }
  return nullptr;
}

std::string ExecTable::list_json() const {
  JsonWriter json;
  json.begin_object().key("execs").begin_array();
  for (const std::unique_ptr<Exec>& exec : execs_) {
    if (exec->forgotten()) continue;
    json.begin_object();
    json.key("exec").string(exec->id());
    json.key("pid").integer(static_cast<uint64_t>(exec->pid()));
    json.key("running").boolean(exec->running());
    json.key("stdoutBytes").integer(exec->output(1).ring().end());
    json.key("stderrBytes").integer(exec->output(2).ring().end());
    uint64_t until = exec->running() ? now_us() : exec->ended_us();
    json.key("wallMs").thousandths(until - exec->started_us());
    json.key("report");
    exec->finished() ? json.raw(exec->report()) : json.null();
    json.end_object();
  }
  json.end_array().end_object();
  return json.text();
}

// One that somebody listens to is not forgotten. Of the others, first those that can write no more.
void ExecTable::forget_oldest() {
  Exec* oldest = nullptr;
  auto rank = [](const Exec& exec) {
    bool silent = exec.output(1).ended() && exec.output(2).ended();
    return std::pair(!silent, exec.ended_us());
  };
  for (const std::unique_ptr<Exec>& exec : execs_) {
    if (!exec->finished() || exec->forgotten() || exec->has_listener()) continue;
    if (oldest == nullptr || rank(*exec) < rank(*oldest)) oldest = exec.get();
  }
  if (oldest != nullptr) oldest->forget();
}

void ExecTable::trim() {
  size_t finished = static_cast<size_t>(std::count_if(
      execs_.begin(), execs_.end(), [](const auto& exec) { return exec->finished() && !exec->forgotten(); }));
  for (; finished > kKeptFinished; finished--) forget_oldest();
  std::erase_if(execs_, [](const std::unique_ptr<Exec>& exec) { return exec->removable(); });
}

void ExecTable::release_cgroups() {
  for (const std::unique_ptr<Exec>& exec : execs_) exec->release_cgroups();
}

}  // namespace plybox
