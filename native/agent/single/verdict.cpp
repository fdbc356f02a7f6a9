// What becomes of an execution: the verdict on what it ran into, and the report that tells it.
#include <sys/wait.h>

#include <csignal>

#include "agent/single/execution.h"
#include "common/json.h"
#include "common/signals.h"

namespace plybox::single {

bool Execution::out_of_memory() const { return request_.memory_bytes && usage_.peak_bytes() >= *request_.memory_bytes; }

const char* Execution::verdict() {
  if (compiling_) return "compilation_error";
  if (limit_ == nullptr && memory_.kills() > oom_kills_before_) limit_ = "memory", memory_evidence_ = "oom-counter";
  if (limit_ == nullptr && out_of_memory()) limit_ = "memory", memory_evidence_ = "peak";
  bool out_of_time = request_.cpu_ms && usage_.cpu_us() > *request_.cpu_ms * 1000;
  if (limit_ == nullptr && (out_of_time || (WIFSIGNALED(status_) && WTERMSIG(status_) == SIGXCPU))) limit_ = "cpu";
  std::string_view limit = limit_ == nullptr ? "" : limit_;
  if (limit == "wall" || limit == "cpu") return "timeout";
  if (limit == "memory") return "memory_exceeded";
  if (limit == "output") return "output_exceeded";
  return WIFEXITED(status_) && WEXITSTATUS(status_) == 0 ? "success" : "runtime_error";
}

std::string Execution::compile_text() const {
  std::string text;
  const Ring& ring = compile_output_.ring();
  Region region = ring.read(ring.begin(), static_cast<size_t>(ring.end() - ring.begin()));
  for (int i = 0; i < region.count; i++)
    text.append(static_cast<char*>(region.pieces[i].iov_base), region.pieces[i].iov_len);
  return text;
}

std::string Execution::make_report() {
  const char* result = verdict();
  JsonWriter json;
  auto text_or_null = [&](const char* name, const char* text) {
    json.key(name);
    text == nullptr ? json.null() : json.string(text);
  };
  json.begin_object();
  json.key("result").string(result);
  json.key("code");
  WIFEXITED(status_) ? json.integer(static_cast<uint64_t>(WEXITSTATUS(status_))) : json.null();
  json.key("signal");
  WIFSIGNALED(status_) ? json.string(signal_name(WTERMSIG(status_))) : json.null();
  text_or_null("limit", limit_);
  text_or_null("memoryEvidence", memory_evidence_);
  json.key("wallMs").thousandths(compiling_ ? 0 : ended_us_ - started_us_);
  json.key("cpuMs").thousandths(compiling_ ? 0 : usage_.cpu_us());
  json.key("compileMs");
  request_.compile.empty() ? json.null() : json.thousandths(compile_us_);
  json.key("peakBytes").integer(compiling_ ? 0 : usage_.peak_bytes());
  json.key("stdoutBytes").integer(outputs_[0]->ring().end());
  json.key("stderrBytes").integer(outputs_[1]->ring().end());
  json.key("compileOutput").string(compile_text());
  json.key("compileOutputLost").integer(compile_output_.ring().begin());
  json.end_object();
  return json.text();
}

}  // namespace plybox::single
