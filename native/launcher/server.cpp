#include "launcher/server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "common/signals.h"
#include "common/syscalls.h"

namespace plybox {
namespace {

constexpr size_t kReadBytes = 65536;
constexpr int kRetryMs = 2;
constexpr int kQuietMs = 10;
// A thread that waits as after vfork counts as load; where nobody makes sandboxes there is nothing to be quick for.
constexpr int kKeepBegunMs = 10'000;
constexpr int kBusyTries = 2000;
constexpr uint64_t kGeneration = 1;

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    // Nobody reads any more: the input will end too.
    if (count < 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace

int Server::run(int input, int output) {
  input_ = input;
  output_ = output;
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  epoll_ = epoll.get();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;  // the input; any other value is a pid
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, input_, &event) != 0) return 1;
  for (;;) {
    epoll_event ready[64];
    bool settled = busy_.empty() && launcher_.settled();
    int patience = !settled ? kRetryMs : !rested_ ? kQuietMs : launcher_.has_begun() ? kKeepBegunMs : -1;
    int count = epoll_wait(epoll_, ready, 64, patience);
    if (count < 0 && errno != EINTR) return 1;
    if (count == 0 && patience == kKeepBegunMs) launcher_.give_up_next();
    rested_ = count == 0;
    clear_again();
    for (int i = 0; i < count; i++) {
      if (ready[i].data.u64 != 0)
        ended(static_cast<pid_t>(ready[i].data.u64));
      else if (!receive())
        return 0;
    }
    flush();
    // Not right after a launch, when the daemon, the new agent and its first command need the processors.
    if (rested_) launcher_.prepare_next();
  }
}

bool Server::receive() {
  char buffer[kReadBytes];
  ssize_t count = read(input_, buffer, sizeof(buffer));
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (count <= 0) return false;
  decoder_.feed({buffer, static_cast<size_t>(count)});
  for (;;) {
    Frame frame;
    switch (decoder_.next(frame)) {
      case FrameDecoder::Step::kNeedMore:
        return true;
      case FrameDecoder::Step::kBad:
        refuse(0, {"protocol", decoder_.problem()});
        flush();
        return false;
      case FrameDecoder::Step::kFrame:
        if (!dispatch(frame)) {
          flush();
          return false;
        }
    }
  }
}

bool Server::dispatch(const Frame& frame) {
  if (!greeted_) return greet(frame);
  if (frame.kind != Kind::kOpen || frame.channel == 0) {
    refuse(0, {"protocol", "a launcher takes open frames on channels above 0"});
    return false;
  }
  JsonDocument document;
  JsonObject request = document.parse(frame.payload);
  handle(frame.channel, document, request);
  // Answers go out before the next launch, which may take its time.
  flush();
  return true;
}

bool Server::greet(const Frame& frame) {
  JsonDocument document;
  JsonObject hello = document.parse(frame.payload);
  uint64_t generation = hello.integer("generation", 0, UINT32_MAX);
  bool host = hello.string("role") == "host";
  std::string_view sandbox = hello.string("sandbox");
  uint64_t incarnation = hello.integer("incarnation", 0, uint64_t{1} << 53);
  hello.finish();
  if (frame.kind != Kind::kHello || frame.channel != 0 || document.problem().found() || !host) {
    refuse(0, {"protocol", "the first frame is not the hello of a host"});
    return false;
  }
  if (generation < kGeneration) {
    refuse(0, {"unsupported-generation", "this launcher speaks generation 1"});
    return false;
  }
  if (!sandbox.empty() || incarnation != 0) {
    refuse(0, {"wrong-sandbox", "this is a launcher and no sandbox"});
    return false;
  }
  JsonWriter writer;
  writer.begin_object().key("generation").integer(kGeneration).key("role").string("launcher");
  writer.key("version").string(PLYBOX_VERSION).key("sandbox").string("").key("incarnation").integer(0);
  writer.key("capabilities").begin_array();
  for (const char* name : {"launch", "expect", "adopt", "destroy", "mount-image", "mount-memory", "mount-pool",
                           "subvolumes", "graft", "unmount", "probe"})
    writer.string(name);
  writer.end_array().end_object();
  send(Kind::kHello, 0, writer.text());
  greeted_ = true;
  return true;
}

Watched* Server::find(pid_t pid) {
  for (Watched& watched : watched_)
    if (watched.pid == pid) return &watched;
  return nullptr;
}

Watched& Server::watch(pid_t pid, uint64_t start_time, UniqueFd pidfd, uint32_t channel) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<uint64_t>(pid);
  epoll_ctl(epoll_, EPOLL_CTL_ADD, pidfd.get(), &event);
  return watched_.emplace_back(Watched{pid, start_time, std::move(pidfd), channel, {}, false});
}

void Server::ended(pid_t pid) {
  Watched* found = find(pid);
  if (found == nullptr) return;
  Watched watched = std::move(*found);
  watched_.erase(watched_.begin() + (found - watched_.data()));
  // Closing alone would not do it while a forked process holds a copy of the descriptor.
  epoll_ctl(epoll_, EPOLL_CTL_DEL, watched.pidfd.get(), nullptr);
  Ending ending = ending_of(watched.pidfd.get());
  if (watched.works != nullptr) {
    if (ending.code == 0) return acknowledge(watched.channel);
    return fail(watched.channel, "failed", {watched.works, ending.code > 0 ? ending.code : EINTR});
  }
  if (watched.channel != 0) {
    JsonWriter writer;
    writer.begin_object().key("code");
    ending.code < 0 ? writer.null() : writer.integer(static_cast<uint64_t>(ending.code));
    writer.key("signal");
    ending.signal == 0 ? writer.null() : writer.string(signal_name(ending.signal));
    writer.end_object();
    send(Kind::kExit, watched.channel, writer.text());
  }
  for (Remains& remains : watched.remains) {
    if (watched.unmounts && ending.code != 0)
      remains.unmounted = Failure{"unmount", ending.code > 0 ? ending.code : EINTR};
    clear(std::move(remains));
  }
}

void Server::clear(Remains remains) {
  if (unmounts_slowly(remains) && unmount_apart(remains)) return;
  Result<> cleared = clear_remains(remains);
  if (!cleared && cleared.failure().error == EBUSY && ++remains.tries < kBusyTries)
    return busy_.push_back(std::move(remains));
  answer(remains.channel, cleared);
  rested_ = true;
}

void Server::clear_again() {
  for (size_t count = busy_.size(); count > 0; count--) {
    Remains remains = std::move(busy_.front());
    busy_.pop_front();
    clear(std::move(remains));
  }
}

void Server::answer(uint32_t channel, Result<> result) {
  if (result)
    acknowledge(channel);
  else
    fail(channel, "failed", result.failure());
}

void Server::acknowledge(uint32_t channel) { send(Kind::kAck, channel, "{}"); }

std::string Server::describe(Failure failure) { return std::string(failure.step) + ": " + strerror(failure.error); }

void Server::refuse(uint32_t channel, const Refusal& refusal) { send(Kind::kError, channel, to_json(refusal)); }

void Server::fail(uint32_t channel, const char* code, Failure failure) {
  refuse(channel, Refusal::failed(code, describe(failure), failure));
}

void Server::send(Kind kind, uint32_t channel, std::string_view payload) { append_frame(out_, kind, channel, payload); }

void Server::flush() {
  write_all(output_, out_);
  out_.clear();
}

}  // namespace plybox
