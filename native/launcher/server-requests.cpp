// What the launcher can be asked, docs/protocol.md §5; what takes longer is in server-apart.cpp.
#include <errno.h>
#include <string.h>

#include "common/syscalls.h"
#include "launcher/image.h"
#include "launcher/plan.h"
#include "launcher/pool.h"
#include "launcher/probe.h"
#include "launcher/server.h"

namespace plybox {
namespace {

// The field of the plan that a step about binds failed at; `index` is the bind's. Empty for every other step.
std::string bind_at_fault(std::string_view step, size_t index) {
  if (step != "open-binds" && step != "binds") return "";
  return "plan.binds." + std::to_string(index) + (step == "binds" ? ".target" : ".source");
}

}  // namespace

void Server::handle(uint32_t channel, JsonDocument& document, JsonObject& request) {
  struct Request {
    std::string_view type;
    void (Server::*serve)(uint32_t, JsonDocument&, JsonObject&);
  };
  constexpr Request kRequests[] = {
      {"launch", &Server::launch},        {"expect", &Server::expect},
      {"adopt", &Server::adopt},          {"destroy", &Server::destroy},
      {"mount-image", &Server::mount},    {"mount-memory", &Server::take_memory},
      {"mount-pool", &Server::open_pool}, {"subvolumes", &Server::change_subvolumes},
      {"graft", &Server::add_layer},      {"unmount", &Server::take_off},
      {"probe", &Server::test},
  };
  std::string_view type = request.string("type");
  for (const Request& entry : kRequests)
    if (entry.type == type) return (this->*entry.serve)(channel, document, request);
  if (document.problem().found()) return refuse(channel, Refusal::bad_request(document.problem()));
  refuse(channel, {"bad-request", "unknown request type", "type"});
}

bool Server::valid(uint32_t channel, JsonDocument& document, JsonObject& request) {
  request.finish();
  if (!document.problem().found()) return true;
  refuse(channel, Refusal::bad_request(document.problem()));
  return false;
}

void Server::launch(uint32_t channel, JsonDocument& document, JsonObject& request) {
  rested_ = false;
  LaunchPlan plan = read_plan(request.object("plan"), allow_faults_, launcher_.rootless());
  if (!valid(channel, document, request)) return;
  // While the rest is done the daemon connects, and its hello waits for the agent.
  Result<Launched> launched = launcher_.launch(plan, [&] {
    send(Kind::kProgress, channel, R"({"listening":true})");
    flush();
  });
  if (!launched) {
    Failure failure = launched.failure();
    Refusal refusal = Refusal::failed("launch-failed", describe(failure), failure);
    refusal.field = bind_at_fault(failure.step, launcher_.record().bind);
    return refuse(channel, refusal);
  }

  JsonWriter writer;
  writer.begin_object().key("pid").integer(static_cast<uint64_t>(launched->pid));
  writer.key("startTime").integer(launched->start_time).key("steps").string(to_text(launcher_.record())).end_object();
  send(Kind::kAck, channel, writer.text());
  watch(launched->pid, launched->start_time, std::move(launched->pidfd), channel);
}

void Server::expect(uint32_t channel, JsonDocument& document, JsonObject& request) {
  Ground ground = read_ground(request, launcher_.rootless());
  if (!valid(channel, document, request)) return;
  launcher_.expect(std::move(ground));
  acknowledge(channel);
}

void Server::adopt(uint32_t channel, JsonDocument& document, JsonObject& request) {
  pid_t pid = static_cast<pid_t>(request.integer("pid", 1, INT32_MAX));
  uint64_t start_time = request.integer("startTime", 0, UINT64_MAX);
  if (!valid(channel, document, request)) return;
  if (find(pid) != nullptr) return refuse(channel, {"bad-request", "the process is watched already", "pid"});
  Result<UniqueFd> pidfd = open_process(pid, start_time);
  if (!pidfd) return fail(channel, "not-found", pidfd.failure());
  acknowledge(channel);
  watch(pid, start_time, pidfd.take(), channel);
}

void Server::destroy(uint32_t channel, JsonDocument& document, JsonObject& request) {
  pid_t pid = static_cast<pid_t>(request.integer("pid", 0, INT32_MAX));
  uint64_t start_time = request.integer("startTime", 0, UINT64_MAX);
  Remains remains = read_remains(request, channel, allow_faults_);
  if (!valid(channel, document, request)) return;

  Watched* watched = find(pid);
  if (watched == nullptr || watched->start_time != start_time) {
    // One that nobody watches: of an earlier launcher, or gone already. Its end is waited for the same way.
    Result<UniqueFd> pidfd = pid == 0 ? Failure{"open-process", ESRCH} : open_process(pid, start_time);
    if (!pidfd) return clear(std::move(remains));
    watched = &watch(pid, start_time, pidfd.take(), 0);
  }
  if (remains.fail_at == "kill" || sys::pidfd_send_signal(watched->pidfd.get(), SIGKILL) != 0) {
    int error = remains.fail_at == "kill" ? EIO : errno;
    // One that has ended meanwhile needs no signal.
    if (error != ESRCH) return fail(channel, "failed", {"kill", error});
  }
  watched->remains.push_back(std::move(remains));
  // While the kernel takes it down.
  rested_ = true;
}

void Server::mount(uint32_t channel, JsonDocument& document, JsonObject& request) {
  std::string image = read_path(request, "image");
  std::string format(request.string("format"));
  std::string target = read_path(request, "target");
  if (format != "squashfs" && format != "erofs") request.refuse("format", "is neither squashfs nor erofs");
  if (!valid(channel, document, request)) return;
  Result<> mounted = mount_image(image, format, target);
  if (!mounted && strcmp(mounted.failure().step, "already-mounted") == 0)
    return fail(channel, "already-mounted", mounted.failure());
  answer(channel, mounted);
}

void Server::take_off(uint32_t channel, JsonDocument& document, JsonObject& request) {
  std::string target = read_path(request, "target");
  if (valid(channel, document, request)) answer(channel, unmount(target));
}

void Server::take_memory(uint32_t channel, JsonDocument& document, JsonObject& request) {
  std::string target = read_path(request, "target");
  uint64_t bytes = request.integer("bytes", 65536, uint64_t{1} << 50);
  if (valid(channel, document, request)) answer(channel, mount_memory(target, bytes));
}

void Server::test(uint32_t channel, JsonDocument& document, JsonObject& request) {
  std::string what(request.string("what"));
  if (!is_probe(what)) request.refuse("what", "is not a thing that can be probed");
  std::string path = request.has("path") ? read_path(request, "path") : "/";
  if (valid(channel, document, request)) answer(channel, probe(what, path, launcher_.rootless()));
}

}  // namespace plybox
