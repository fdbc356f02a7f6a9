// The agent that serves `execute`: every verdict, from programs that do not want to be judged.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "agent/clock.h"
#include "common/base64.h"
#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

constexpr const char* kHello = R"({"generation":1,"role":"host","sandbox":"","incarnation":0})";

class Judge {
 public:
  explicit Judge(const std::string& program, std::vector<std::string> more = {}, rlim_t descriptors = 0)
      : pid_(fork()) {
    if (pid_ == 0) {
      rlimit limit{descriptors, descriptors};
      if (descriptors > 0) setrlimit(RLIMIT_NOFILE, &limit);
      std::string socket = path();
      std::vector<std::string> words = {program, "--single", "--unix", socket, "--work-directory", "/tmp"};
      words.insert(words.end(), more.begin(), more.end());
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    // The socket has its name when it serves.
    struct stat status;
    eventually([&] { return stat(path().c_str(), &status) == 0 || has_ended(pid_); });
  }
  ~Judge() { end(); }

  // Tells it to end and waits for that.
  void end() {
    if (pid_ == 0) return;
    kill(pid_, SIGTERM);
    CHECK(wait_for(std::exchange(pid_, 0)) == 0);
  }

  std::string path() const { return directory_.path() + "/judge.sock"; }
  pid_t pid() const { return pid_; }
  Host connect() const {
    Host host(path(), false);
    host.send(Kind::kHello, 0, kHello);
    REQUIRE(host.next().text("role") == "agent");
    return host;
  }
  Outcome run(const std::string& fields) const {
    Host host = connect();
    return host.run(R"({"type":"execute",)" + fields + "}");
  }
  // A shell script.
  Outcome script(const std::string& text, const std::string& fields = "") const {
    return run(script_fields(text) + (fields.empty() ? "" : "," + fields));
  }
  static std::string script_fields(const std::string& text) {
    return R"("source":{"base64":")" + to_base64(text) + R"("},"sourceName":"main.sh","run":["sh","main.sh"])";
  }

 private:
  TestDirectory directory_;
  pid_t pid_;
};

std::string status_line(const std::string& status, const std::string& name) {
  size_t at = status.find("\n" + name + ":");
  if (at == std::string::npos) return "";
  at = status.find_first_not_of(" \t", at + name.size() + 2);
  return status.substr(at, status.find('\n', at) - at);
}

std::string status_of(const std::string& process) {
  std::ifstream file("/proc/" + process + "/status");
  return {std::istreambuf_iterator<char>(file), {}};
}

// User and system time of a process so far.
uint64_t processor_ms(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text(std::istreambuf_iterator<char>(file), {}), unused;
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  for (int i = 0; i < 11; i++) fields >> unused;
  uint64_t user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * 1000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
}

bool has_heard(const Host& host) {
  pollfd end{host.socket(), POLLIN, 0};
  return poll(&end, 1, 0) == 1;
}

}  // namespace

TEST_CASE("an execution that ends by itself is a success or a runtime error, with code or signal") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    Outcome good = judge.script("cat; echo to stderr >&2", R"("stdin":"hello")");
    CHECK(good.ack.kind == Kind::kAck);
    CHECK(good.out == "hello");
    CHECK(good.err == "to stderr\n");
    CHECK(good.last.text("result") == "success");
    CHECK(good.last.is_null("compileMs"));
    CHECK(good.last.number("peakBytes") > 0);
    Outcome code = judge.script("exit 3");
    CHECK(code.last.text("result") == "runtime_error");
    CHECK(code.last.number("code") == 3);
    Outcome signal = judge.script("kill -SEGV $$");
    CHECK(signal.last.text("result") == "runtime_error");
    CHECK(signal.last.text("signal") == "SIGSEGV");
    CHECK(judge.run(R"("source":"","sourceName":"x","run":["no-such-program"])").code() == "not-found");
    CHECK(judge.run(R"("source":"","sourceName":"x","run":["./x"])").code() == "not-executable");
  });
}

TEST_CASE("wall and processor time of all processes together end in a timeout") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    Outcome wall = judge.script("trap '' TERM INT HUP; sleep 1000 & wait; sleep 1000", R"("wallMs":250)");
    CHECK(wall.last.text("result") == "timeout");
    CHECK(wall.last.text("limit") == "wall");
    CHECK(wall.last.fraction("wallMs") >= 250);
    CHECK(wall.last.fraction("cpuMs") < 250);
    Outcome cpu = judge.script("while :; do :; done & while :; do :; done", R"("cpuMs":300,"wallMs":60000)");
    CHECK(cpu.last.text("result") == "timeout");
    CHECK(cpu.last.text("limit") == "cpu");
    CHECK(cpu.last.fraction("cpuMs") > 300);
    // Many short processes, none of which lives long enough to be seen.
    Outcome brief = judge.script("while :; do /bin/true; done", R"("cpuMs":200,"wallMs":60000)");
    CHECK(brief.last.text("limit") == "cpu");
  });
}

TEST_CASE("memory that is touched beyond the limit is memory_exceeded, and says by what evidence") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    std::string hog = "x='0123456789abcdef'; while :; do x=$x$x; done";
    Outcome outcome = judge.script(hog, R"("memoryBytes":50000000,"wallMs":60000)");
    CHECK(outcome.last.text("result") == "memory_exceeded");
    CHECK(outcome.last.text("memoryEvidence") != "");
    CHECK(outcome.last.number("peakBytes") >= 50000000);
    Outcome within = judge.script("echo small", R"("memoryBytes":50000000)");
    CHECK(within.last.text("result") == "success");
    CHECK(within.last.is_null("memoryEvidence"));
  });
}

TEST_CASE("output beyond its limit ends the execution, and a ring that is full tells what it lost") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    Outcome flood = judge.script("yes", R"("outputBytes":100000)");
    CHECK(flood.last.text("result") == "output_exceeded");
    CHECK(flood.last.number("stdoutBytes") == 100000);

    Host host = judge.connect();
    host.open(1, R"({"type":"execute",)" + Judge::script_fields("head -c 2000000 /dev/zero; read line") +
                     R"(,"ringBytes":4096,"stdinStream":true})");
    // Without credit beyond the first, only the end of the output is left when all of it has been written.
    Outcome outcome;
    for (uint64_t written = 0; written < 2000000;) {
      Message message = host.next();
      host.take(outcome, message);
      if (message.kind == Kind::kProgress) written = message.number("stdoutBytes");
    }
    host.input(1, 0, "\n");
    host.credit(1, kInitialCredit);
    Outcome rest = host.collect(1, {});
    size_t lost = 0;
    for (const Outcome* part : {&outcome, &rest}) {
      for (auto [from, to] : part->lost) lost += to - from;
    }
    CHECK(lost > 0);
    CHECK(outcome.out.size() + rest.out.size() + lost == 2000000);
    CHECK(rest.last.text("result") == "success");
  });
}

TEST_CASE("nothing outlives its execution: fork bombs, daemons, and what a host left that hung up") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    Outcome bomb = judge.script("b() { b | b & b; }; b", R"("wallMs":400,"processes":64)");
    CHECK(bomb.last.kind == Kind::kExit);
    Outcome daemon =
        judge.script("mkfifo up; setsid sh -c 'echo $$; echo >up; exec >/dev/null 2>&1 sleep 1000' & read _ <up");
    CHECK(daemon.last.text("result") == "success");
    CHECK(has_ended(std::stoi(daemon.out)));
    pid_t left = 0;
    {
      Host host = judge.connect();
      host.open(1, R"({"type":"execute",)" + Judge::script_fields("echo $$; exec sleep 1000") + R"(,"wallMs":60000})");
      Outcome outcome;
      while (outcome.out.find('\n') == std::string::npos) host.take(outcome, host.next());
      left = std::stoi(outcome.out);
      Host second = judge.connect();
      CHECK(second.run(R"({"type":"execute",)" + Judge::script_fields("true") + "}").code() == "busy");
      CHECK_FALSE(has_ended(left));
    }
    eventually([&] { return has_ended(left); });
    Outcome next;
    eventually([&] {
      next = judge.script("echo next; ls -A");
      return next.code() != "busy";
    });
    CHECK(next.out == "next\nmain.sh\n");
  });
}

TEST_CASE("an agent that is told to end takes along what it runs, and whoever is connected") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    Host idle = judge.connect();
    Host host = judge.connect();
    host.open(1, R"({"type":"execute",)" + Judge::script_fields("setsid sleep 1000 & echo $!; exec sleep 1000") +
                     R"(,"wallMs":60000})");
    Outcome outcome;
    while (outcome.out.find('\n') == std::string::npos) host.take(outcome, host.next());
    judge.end();
    CHECK(has_ended(std::stoi(outcome.out)));
    CHECK(idle.hung_up());
    CHECK(host.hung_up());
  });
}

TEST_CASE("a waiting child that has been killed is replaced by the next request") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    std::string agent = std::to_string(judge.pid());
    for (int turn = 0; turn < 3; turn++) {
      CHECK(judge.script("echo hi").out == "hi\n");
      pid_t waiting = 0;
      eventually([&] {
        std::ifstream("/proc/" + agent + "/task/" + agent + "/children") >> waiting;
        return waiting > 0;
      });
      kill(waiting, SIGKILL);
      eventually([&] { return has_ended(waiting); });
    }
    CHECK(judge.script("echo hi").out == "hi\n");
  });
}

TEST_CASE("out of descriptors, whoever connects waits his turn, and the agent does not spin meanwhile") {
  for_each_agent([](const std::string& program) {
    Judge judge(program, {}, 32);
    std::deque<Host> hosts;
    for (int i = 0; i < 40; i++) {
      hosts.emplace_back(judge.path(), false);
      hosts.back().send(Kind::kHello, 0, kHello);
    }
    size_t heard = 0;
    eventually([&] {
      while (heard < hosts.size() && has_heard(hosts[heard])) heard++;
      return heard > 8;
    });
    uint64_t began_ms = processor_ms(judge.pid());
    usleep(500000);
    CHECK(processor_ms(judge.pid()) - began_ms < 100);
    REQUIRE_FALSE(has_heard(hosts.back()));
    // Each that goes makes room for one.
    while (!hosts.empty()) {
      CHECK(hosts.front().next().kind == Kind::kHello);
      hosts.pop_front();
    }
    CHECK(judge.script("echo hi").out == "hi\n");
  });
}

TEST_CASE("what does not compile is a compilation error with the compiler's words") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    Outcome bad = judge.script("true", R"("compile":["sh","-c","echo wrong; echo line >&2; exit 2"])");
    CHECK(bad.last.text("result") == "compilation_error");
    CHECK(bad.last.number("code") == 2);
    CHECK(bad.last.text("compileOutput") == "wrong\nline\n");
    Outcome slow = judge.script("true", R"("compile":["sleep","1000"],"compileWallMs":150)");
    CHECK(slow.last.text("result") == "compilation_error");
    CHECK(slow.last.text("limit") == "wall");
    Outcome good = judge.script("cat made; cat", R"("compile":["sh","-c","echo made > made"],"stdin":"in")");
    CHECK(good.last.text("result") == "success");
    CHECK(good.out == "made\nin");
    CHECK(good.last.fraction("compileMs") > 0);
  });
}

TEST_CASE("usage comes while a program runs") {
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    Host host = judge.connect();
    host.open(1, R"({"type":"execute",)" + Judge::script_fields("read line") + R"(,"stdinStream":true})");
    // In one that comes while the program is being entered, nothing is resident yet.
    for (int samples = 0, resident = 0; samples < 2 || resident < 1;) {
      Message message = host.next();
      if (message.kind != Kind::kProgress) continue;
      samples++;
      CHECK(message.text("phase") == "run");
      CHECK(message.number("processes") >= 1);
      resident += message.number("residentBytes") > 0;
    }
    host.input(1, 0, "\n");
    CHECK(host.collect(1).last.text("result") == "success");
  });
}

TEST_CASE("sources are bytes, and at most as long as they may be; stdin may come in a stream") {
  for_each_agent([](const std::string& program) {
    Judge judge(program, {"--source-bytes", "16"});
    Outcome binary = judge.run(R"("source":{"base64":"AAH/"},"sourceName":"b","run":["od","-An","-tx1","b"])");
    CHECK(binary.out == " 00 01 ff\n");
    Outcome large = judge.run(R"("source":"12345678901234567","sourceName":"b","run":["true"])");
    CHECK(large.last.text("field") == "source");
    CHECK(judge.run(R"("source":"","sourceName":"../b","run":["true"])").last.text("field") == "sourceName");

    Host host = judge.connect();
    host.open(1, R"({"type":"execute","source":"","sourceName":"b","run":["wc","-c"],"stdinStream":true})");
    std::string chunk(65536, 'x');
    uint64_t offset = 0, credit = kInitialCredit;
    Outcome outcome;
    while (offset < 1048576) {
      while (credit < chunk.size()) {
        Message message = host.next();
        if (message.kind == Kind::kCredit) credit += *parse_credit(message.payload);
        host.take(outcome, message);
      }
      host.input(1, offset, chunk);
      offset += chunk.size();
      credit -= chunk.size();
    }
    host.end_input(1, offset);
    CHECK(host.collect(1).out == "1048576\n");
  });
}

TEST_CASE("agent and program have no privileges that they do not need") {
  if (geteuid() != 0) return skipped("who is not root has none to drop");
  // The control: here there are some.
  REQUIRE(status_line(status_of("self"), "CapEff") != "0000000000000000");
  REQUIRE(status_line(status_of("self"), "NoNewPrivs") == "0");
  for_each_agent([](const std::string& program) {
    Judge judge(program);
    std::string agent = status_of(std::to_string(judge.pid()));
    CHECK(status_line(agent, "NoNewPrivs") == "1");
    CHECK(status_line(agent, "CapEff") == "00000000000000e3");
    CHECK(status_line(agent, "CapBnd") == "00000000000000e3");
    struct stat socket;
    REQUIRE(stat(judge.path().c_str(), &socket) == 0);
    CHECK((socket.st_mode & 0777) == 0600);

    std::string child = judge.script("cat /proc/self/status").out;
    CHECK(status_line(child, "NoNewPrivs") == "1");
    CHECK(status_line(child, "CapPrm") == "0000000000000000");
    CHECK(status_line(child, "Uid") == "65534\t65534\t65534\t65534");
    CHECK(judge.script("ls -l /proc/self/fd | wc -l").out == "5\n");
    Outcome prying =
        judge.script("cat /proc/$PPID/mem || cat /proc/$PPID/environ || ls /proc/$PPID/fd || kill -9 $PPID");
    CHECK(prying.out == "");
    CHECK(prying.last.text("result") == "runtime_error");
  });
}

TEST_CASE("a place that holds something else than a socket is left alone") {
  for_each_agent([](const std::string& program) {
    TestDirectory directory;
    std::string path = directory.path() + "/file";
    std::ofstream(path) << "kept";
    pid_t pid = fork();
    if (pid == 0) {
      execl(program.c_str(), program.c_str(), "--single", "--unix", path.c_str(), nullptr);
      _exit(127);
    }
    CHECK(WEXITSTATUS(wait_for(pid)) == 1);
    std::ifstream file(path);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == "kept");
  });
}
