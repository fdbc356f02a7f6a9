// What may take a while is done in a process of its own, in which others are served.
#include <errno.h>
#include <unistd.h>

#include "common/syscalls.h"
#include "launcher/graft.h"
#include "launcher/pool.h"
#include "launcher/server.h"

namespace plybox {

// Does `work` in a process of its own, whose exit code is its errno. Below 0: there is none.
template <typename Work>
pid_t Server::start_apart(UniqueFd& pidfd, Work work) {
  launcher_.settle();
  int fd = -1;
  sys::CloneArgs args;
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&fd);
  pid_t pid = sys::clone3(args);
  if (pid == 0) {
    // It may outlive the launcher: what that holds is not to live with it.
    sys::close_range(0, ~0U, 0);
    _exit(work().failure().error);
  }
  pidfd.reset(fd);
  return pid;
}

// For what may take a while, in which others are served.
template <typename Work>
void Server::answer_apart(uint32_t channel, const char* step, Work work) {
  UniqueFd pidfd;
  pid_t pid = start_apart(pidfd, work);
  if (pid < 0) return answer(channel, Failure::here(step));
  watch(pid, 0, std::move(pidfd), channel).works = step;
}

// What is not on the disk yet is written first, and whatever was removed inside is given back. Answers whether that
// goes on; `remains` are taken away when it has ended.
bool Server::unmount_apart(Remains& remains) {
  UniqueFd pidfd;
  pid_t pid = start_apart(pidfd, [&] { return clear_mounts(remains); });
  if (pid < 0) return false;
  remains.unmount.clear();
  Watched& watched = watch(pid, 0, std::move(pidfd), 0);
  watched.unmounts = true;
  watched.remains.push_back(std::move(remains));
  return true;
}

void Server::open_pool(uint32_t channel, JsonDocument& document, JsonObject& request) {
  std::string image = read_path(request, "image");
  std::string target = read_path(request, "target");
  if (!valid(channel, document, request)) return;
  // What a machine that stopped suddenly left may take a while to be read.
  answer_apart(channel, "mount-pool", [&] { return mount_pool(image, target); });
}

void Server::change_subvolumes(uint32_t channel, JsonDocument& document, JsonObject& request) {
  std::vector<PoolStep> steps = read_pool_steps(request);
  if (!valid(channel, document, request)) return;
  // A snapshot waits until what was written is on the pool's disk.
  answer_apart(channel, "subvolumes", [&] { return run_pool_steps(steps); });
}

void Server::add_layer(uint32_t channel, JsonDocument& document, JsonObject& request) {
  GraftPlan plan = read_graft(request);
  if (launcher_.rootless()) request.refuse("type", "needs a launcher that is the machine's root");
  if (!valid(channel, document, request)) return;
  answer_apart(channel, "graft", [&] { return graft(plan); });
}

}  // namespace plybox
