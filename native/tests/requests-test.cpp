#include "agent/requests.h"
#include "agent/fault.h"
#include "launcher/watch.h"

#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "agent/options.h"

using namespace plybox;

namespace {

constexpr const char* kId = "ex_01k6zq3w2mtvwxyz0123456789";

std::string exec_with(std::string_view rest) {
  return std::string(R"({"type":"exec","exec":")") + kId + "\"," + std::string(rest) + "}";
}

// The field that is refused, or "".
std::string refused(const std::string& text) {
  JsonDocument document;
  bool understood = decode_request(document, text).has_value();
  CHECK(understood == !document.problem().found());
  return document.problem().field;
}

}  // namespace

TEST_CASE("exec has the defaults of the protocol") {
  JsonDocument document;
  std::string text = exec_with(R"("shell":"echo hi")");
  Request request = *decode_request(document, text);
  const ExecRequest& exec = std::get<ExecRequest>(request);
  CHECK(exec.exec == kId);
  CHECK(exec.argv == std::vector<std::string_view>{"/bin/sh", "-c", "echo hi"});
  CHECK(exec.user == "root");
  CHECK_FALSE(exec.cwd.has_value());
  CHECK_FALSE(exec.input);
  CHECK_FALSE(exec.merge);
  CHECK_FALSE(exec.terminal.has_value());
  CHECK_FALSE(exec.wall_ms.has_value());
  CHECK_FALSE(exec.output_bytes.has_value());
  CHECK(exec.ring_bytes == 1048576);
}

TEST_CASE("wrong fields of exec are refused by name") {
  struct Row {
    const char* rest;
    const char* field;
  };
  for (const Row& row : {
           Row{R"("argv":["a"])", ""},
           Row{R"("argv":["a"],"shell":"b")", "argv"},
           Row{R"("cwd":"/")", "argv"},
           Row{R"("argv":[])", "argv"},
           Row{R"("argv":[""])", "argv"},
           Row{R"("argv":[1])", "argv.0"},
           Row{R"("argv":"a")", "argv"},
           Row{R"("argv":["a"],"cwd":"tmp")", "cwd"},
           Row{R"("argv":["a"],"env":{"1A":"b"})", "env"},
           Row{R"("argv":["a"],"env":{"A=B":"b"})", "env"},
           Row{R"("argv":["a"],"env":{"":"b"})", "env"},
           Row{R"("argv":["a"],"env":{"A":1})", "env.A"},
           Row{R"("argv":["a"],"user":"")", "user"},
           Row{R"("argv":["a"],"pty":{"columns":80})", "pty.rows"},
           Row{R"("argv":["a"],"pty":{"columns":0,"rows":1})", "pty.columns"},
           Row{R"("argv":["a"],"pty":{"columns":65536,"rows":1})", "pty.columns"},
           Row{R"("argv":["a"],"pty":{"columns":1,"rows":1,"x":1})", "pty.x"},
           Row{R"("argv":["a"],"wallMs":0)", "wallMs"},
           Row{R"("argv":["a"],"wallMs":9007199254740991)", ""},
           Row{R"("argv":["a"],"wallMs":9007199254740992)", "wallMs"},
           Row{R"("argv":["a"],"memoryBytes":1048575)", "memoryBytes"},
           Row{R"("argv":["a"],"memoryBytes":1048576)", ""},
           Row{R"("argv":["a"],"outputBytes":-1)", "outputBytes"},
           Row{R"("argv":["a"],"ringBytes":4095)", "ringBytes"},
           Row{R"("argv":["a"],"ringBytes":67108865)", "ringBytes"},
           Row{R"("argv":["a"],"ringBytes":67108864)", ""},
           Row{R"("argv":["a"],"timeout":1)", "timeout"},
       }) {
    CAPTURE(row.rest);
    CHECK(refused(exec_with(row.rest)) == row.field);
  }
}

TEST_CASE("ids of another shape are refused") {
  for (const char* id :
       {"", "ex_", "sb_01k6zq3w2mtvwxyz0123456789", "ex_01K6ZQ3W2MTVWXYZ0123456789", "ex_01k6zq3w2mtvwxyz012345678i",
        "ex_../../../../../../etc/pass", "ex_01k6zq3w2mtvwxyz01234567890"}) {
    CAPTURE(id);
    CHECK(refused(std::string(R"({"type":"forget","exec":")") + id + "\"}") == "exec");
    CHECK(refused(std::string(R"({"type":"wait","exec":")") + id + "\"}") == "exec");
  }
}

TEST_CASE("the other requests are as strict") {
  std::string exec = std::string("\"exec\":\"") + kId + "\"";
  CHECK(refused(R"({"type":"list","x":1})") == "x");
  CHECK(refused(R"({"type":"nonsense"})") == "type");
  CHECK(refused(R"({"exec":"x"})") == "type");
  CHECK(refused("{\"type\":\"attach\"," + exec + ",\"stdout\":0}") == "stderr");
  CHECK(refused("{\"type\":\"attach\"," + exec + ",\"stdout\":0,\"stderr\":9007199254740992}") == "stderr");
  CHECK(refused("{\"type\":\"read\"," + exec + ",\"stdout\":0}") == "stderr");
  CHECK(refused("{\"type\":\"read\"," + exec + ",\"stdout\":0,\"stderr\":0,\"follow\":1}") == "follow");
  CHECK(refused("{\"type\":\"read\"," + exec + ",\"stdout\":0,\"stderr\":0}") == "");
  CHECK(refused("{\"type\":\"signal\"," + exec + ",\"signal\":\"TERM\"}") == "signal");
  CHECK(refused("{\"type\":\"signal\"," + exec + ",\"signal\":\"SIGTERM\",\"scope\":\"world\"}") == "scope");
  CHECK(refused("{\"type\":\"resize\"," + exec + ",\"columns\":1}") == "rows");
  JsonDocument document;
  std::string text = "{\"type\":\"signal\"," + exec + ",\"signal\":\"SIGUSR1\",\"scope\":\"all\"}";
  Request request = *decode_request(document, text);
  CHECK(std::get<SignalRequest>(request).signal == SIGUSR1);
  CHECK(std::get<SignalRequest>(request).scope == SignalScope::kAll);
}

TEST_CASE("a step fails once where it was armed, and no other does") {
  CHECK(!fault_at("clone"));
  armed_fault = "clone";
  CHECK(!fault_at("clon"));
  CHECK(!fault_at("clones"));
  errno = 0;
  CHECK(fault_at("clone"));
  CHECK(errno == EIO);
  CHECK(!fault_at("clone"));
}

TEST_CASE("what is to fail of a removal is read only where faults are allowed") {
  auto read = [](bool allow_faults) {
    JsonDocument document;
    JsonObject request = document.parse(R"({"cgroups":[],"unmount":[],"remove":[],"failAt":"kill"})");
    Remains remains = read_remains(request, 1, allow_faults);
    request.finish();
    return document.problem().found() ? std::string("refused") : remains.fail_at;
  };
  CHECK(read(true) == "kill");
  CHECK(read(false) == "refused");
}

TEST_CASE("the command line is checked") {
  auto problem = [](std::vector<const char*> words) {
    words.insert(words.begin(), "plyagent");
    Options options;
    return parse_options(static_cast<int>(words.size()), const_cast<char* const*>(words.data()), options);
  };
  CHECK(problem({"--sandbox", "sb", "--incarnation", "3", "--listen-fd", "3"}) == "");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--fail-at", "clone"}) == "");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--fail-at", ""}) == "not understood: --fail-at ");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--least-room", "2097152"}) == "");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--referenced-fd", "7", "--reserved-fd", "8", "--quota-bytes",
                 "1"}) == "");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--reserved-fd", "8", "--quota-bytes", "1"}) ==
        "--referenced-fd, --reserved-fd and --quota-bytes belong together");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--least-room", "0"}) == "not understood: --least-room 0");
  CHECK(problem({"--sandbox", "sb"}) == "--listen-fd is needed");
  CHECK(problem({"--listen-fd", "3"}) == "--sandbox is needed");
  CHECK(problem({"--sandbox", "sb", "--listen-fd"}) == "--listen-fd has no value");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3x"}) == "not understood: --listen-fd 3x");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--track-fd", "4"}) ==
        "--track-fd and --track-version belong together");
  CHECK(problem({"--sandbox", "sb", "--listen-fd", "3", "--memory-version", "2"}) ==
        "--memory-fd and --memory-version belong together");
}
