#include "agent/single/server.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "agent/set-up.h"
#include "agent/single/execution-channel.h"

namespace plybox::single {
namespace {

constexpr uint64_t kGeneration = 1;
constexpr uint64_t kTidyMs = 1;
constexpr uint64_t kListenAgainMs = 100;
constexpr size_t kMostConnections = 64;

}  // namespace

Server::Server(const Options& options, UniqueFd listener, UniqueFd connection, UniqueFd signals,
               std::vector<pid_t> exempt)
    : options_(options),
      listen_(std::move(listener)),
      first_(std::move(connection)),
      signals_(std::move(signals)),
      memory_directory_(adopt(options.memory_fd)),
      memory_(memory_directory_, options.memory_version),
      exempt_(std::move(exempt)),
      tidy_timer_(loop_, [this] { tidy(); }),
      deaf_timer_(loop_, [this] { listen_again(); }),
      listen_ears_(*this, &Server::accept_connection),
      signal_ears_(*this, &Server::take_signal) {}

Result<> Server::run() {
  if (Result<> opened = loop_.open(); !opened) return opened;
  if (Result<> watched = loop_.watch(signals_.get(), EPOLLIN, signal_ears_); !watched) return watched;
  if (Result<Place> place = make_place(options_); place) {
    place_.emplace(place.take());
  } else {
    return place.failure();
  }
  if (first_) add(std::move(first_));
  if (listen_) {
    if (Result<> watched = loop_.watch(listen_.get(), EPOLLIN, listen_ears_); !watched) return watched;
  }
  loop_.run([this] { after_turn(); });
  connections_.clear();
  if (place_) {
    kill(place_->child.pid(), SIGKILL);
    waitpid(place_->child.pid(), nullptr, 0);
  }
  return {};
}

void Server::accept_connection() {
  UniqueFd socket(accept4(listen_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) {
    if (connections_.size() < kMostConnections) add(std::move(socket));
    return;
  }
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
  // Out of descriptors or memory: not heard for a while, because the set would report the same connection at once.
  loop_.unwatch(listen_.get(), listen_ears_);
  deaf_timer_.start(kListenAgainMs);
}

void Server::listen_again() {
  deaf_timer_.stop();
  if (!loop_.watch(listen_.get(), EPOLLIN, listen_ears_)) deaf_timer_.start(kListenAgainMs);
}

void Server::add(UniqueFd socket) {
  auto connection = std::make_unique<Connection>(loop_, std::move(socket), *this);
  if (connection->open()) connections_.push_back(std::move(connection));
}

void Server::take_signal() {
  signalfd_siginfo info;
  if (read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return;
  if (info.ssi_signo != SIGCHLD) return stop();
  int status;
  rusage usage;
  for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
    if (place_ && pid == place_->child.pid()) {
      // A new one is made for the next request and not now: what ended this one might end that one too, for ever.
      place_.reset();
    } else if (std::erase(exempt_, pid) > 0) {
      // Its number may be another's from now on.
      continue;
    } else if (execution_ != nullptr) {
      execution_->child_ended(pid, status, usage);
    }
  }
}

// Nobody is served any more, and with its connection goes the execution; the loop ends when nothing is left of it.
void Server::stop() {
  if (listen_ && !stopping_ && !deaf_timer_.running()) loop_.unwatch(listen_.get(), listen_ears_);
  stopping_ = true;
  deaf_timer_.stop();
  connections_.clear();
  if (execution_ == nullptr) loop_.stop();
}

void Server::after_turn() {
  for (const std::unique_ptr<Connection>& connection : connections_) connection->flush();
  size_t ended =
      std::erase_if(connections_, [](const std::unique_ptr<Connection>& connection) { return connection->dead(); });
  if (ended > 0 && deaf_timer_.running()) listen_again();
  if (over_ && !tidy_timer_.running()) tidy_timer_.start(kTidyMs);
  if (options_.once && connections_.empty() && execution_ == nullptr && (served_ || !listen_)) loop_.stop();
}

// A little after the verdict, so that neither the removal of a large work directory nor a fork delays it.
void Server::tidy() {
  if (over_) {
    over_ = false;
    execution_.reset();
  }
  if (stopping_) return loop_.stop();
  if (execution_ != nullptr || place_ || options_.once) return;
  Result<Place> place = make_place(options_);
  if (place) place_.emplace(place.take());
}

std::variant<std::string, Refusal> Server::greet(const Hello& hello) {
  if (hello.generation < kGeneration)
    return Refusal{"unsupported-generation", "generation 0 is not spoken here", "generation"};
  if (!hello.sandbox.empty() || hello.incarnation != 0)
    return Refusal{"wrong-sandbox", "this agent belongs to no sandbox", "sandbox"};
  JsonWriter json;
  json.begin_object();
  json.key("generation").integer(kGeneration);
  json.key("role").string("agent");
  json.key("version").string(PLYBOX_VERSION);
  json.key("sandbox").string("");
  json.key("incarnation").integer(0);
  json.key("capabilities").begin_array().string("execute");
  if (memory_.available()) json.string("memory-events");
  json.end_array().end_object();
  return json.text();
}

bool Server::serve(Connection& connection, uint32_t channel, JsonDocument& document, std::string_view payload) {
  std::optional<ExecuteRequest> request = decode_execute(document, payload, options_.source_bytes);
  if (!request) return false;
  auto refuse = [&](Refusal refusal) {
    connection.refuse(channel, refusal);
    return true;
  };
  if (connection.channels_opened() > 1) return refuse({"bad-request", "a connection is for one execution"});
  if (execution_ != nullptr) {
    // What has its verdict is only waiting to be tidied up.
    if (!over_) return refuse({"busy", "another execution is running"});
    tidy();
  }
  if (!place_) {
    Result<Place> place = make_place(options_);
    if (!place) return refuse(Refusal::failed("no-resources", "no child can be made", place.failure()));
    place_.emplace(place.take());
  }
  served_ = true;
  connection.ack(channel, "{}");
  connection.flush();
  execution_ = std::make_unique<Execution>(loop_, options_, memory_, std::move(*request), std::move(*place_), exempt_,
                                           [this] { over_ = true; });
  place_.reset();
  if (std::optional<Refusal> refusal = execution_->start()) {
    over_ = true;
    return refuse(*refusal);
  }
  connection.stream(std::make_unique<ExecutionChannel>(connection, channel, *execution_));
  return true;
}

}  // namespace plybox::single
