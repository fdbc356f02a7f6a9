#include "tests/agent-process.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/processes.h"
#include "common/syscalls.h"
#include "common/unique-fd.h"
#include "tests/waits.h"

namespace plybox::test {

TestDirectory::TestDirectory() {
  char path[] = "/tmp/plybox-test-XXXXXX";
  REQUIRE(mkdtemp(path) != nullptr);
  path_ = path;
}

TestDirectory::~TestDirectory() {
  if (DIR* directory = opendir(path_.c_str())) {
    while (dirent* entry = readdir(directory)) unlink((path_ + "/" + entry->d_name).c_str());
    closedir(directory);
  }
  CHECK(rmdir(path_.c_str()) == 0);
}

AgentProcess::AgentProcess(const std::string& program, const AgentSettings& settings) {
  socket_ = directory_.path() + "/agent.sock";

  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(listen(listener.get(), 64) == 0);

  std::vector<std::string> words = {program, "--sandbox", kSandbox, "--incarnation", "7"};
  words.insert(words.end(), {"--listen-fd", std::to_string(listener.get())});
  auto add_directory = [&](const std::string& path, const char* name, int version) {
    if (path.empty()) return UniqueFd();
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY));
    REQUIRE(fd);
    words.insert(words.end(), {std::string("--") + name + "-fd", std::to_string(fd.get())});
    words.insert(words.end(), {std::string("--") + name + "-version", std::to_string(version)});
    return fd;
  };
  UniqueFd track = add_directory(settings.track_directory, "track", settings.track_version);
  UniqueFd memory = add_directory(settings.memory_directory, "memory", settings.memory_version);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const char* environment[] = {"FROM_SANDBOX=yes", "ASAN_OPTIONS=detect_leaks=1:abort_on_error=1", nullptr};

  sys::CloneArgs clone;
  if (settings.own_namespace) clone.flags = CLONE_NEWPID | CLONE_NEWNS;
  pid_ = sys::clone3(clone);
  REQUIRE(pid_ >= 0);
  if (pid_ > 0) return;
  if (settings.own_namespace) {
    // Nothing of this may reach the machine's own mounts.
    if (sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(126);
    if (sys::mount("proc", "/proc", "proc", 0, nullptr) != 0) _exit(126);
    for (auto [file, target] :
         {std::pair(settings.passwd_file, "/etc/passwd"), std::pair(settings.group_file, "/etc/group")}) {
      if (!file.empty() && sys::mount(file.c_str(), target, nullptr, MS_BIND, nullptr) != 0) _exit(126);
    }
  }
  // A test's own limits, in the child alone.
  rlimit limit{static_cast<rlim_t>(settings.descriptors), static_cast<rlim_t>(settings.descriptors)};
  if (settings.descriptors > 0) setrlimit(RLIMIT_NOFILE, &limit);
  if (!settings.memory_directory.empty()) {
    UniqueFd procs(::open((settings.memory_directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    (void)!write(procs.get(), "0", 1);
  }
  execve(argv[0], argv.data(), const_cast<char**>(environment));
  _exit(127);
}

AgentProcess::~AgentProcess() {
  if (pid_ > 0) {
    for (const Process& process : descendants(list_processes(), pid_)) kill(process.pid, SIGKILL);
    // As `stop` does, so that the sanitizer looks for leaks.
    kill(pid_, SIGTERM);
    int code = wait();
    CHECK_MESSAGE(code == 0, "the agent did not end well");
  }
}

int AgentProcess::wait() {
  int status = wait_for(std::exchange(pid_, 0));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void for_each_agent(const std::function<void(const std::string&)>& test) {
  const char* programs = std::getenv("PLYAGENTS");
  REQUIRE_MESSAGE(programs != nullptr, "PLYAGENTS names the agents to test, separated by colons");
  std::string_view rest = programs;
  while (!rest.empty()) {
    std::string program(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(rest.size(), program.size() + 1));
    CAPTURE(program);
    test(program);
  }
}

}  // namespace plybox::test
