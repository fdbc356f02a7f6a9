// The launcher's side of its link: requests in, answers and endings out, one thing at a time.
#pragma once
#include <deque>
#include <string>
#include <vector>

#include "common/frame.h"
#include "common/json.h"
#include "common/refusal.h"
#include "launcher/launch.h"
#include "launcher/watch.h"

namespace plybox {

class Server {
 public:
  Server(Launcher launcher, bool allow_faults) : launcher_(std::move(launcher)), allow_faults_(allow_faults) {}

  // Serves until the input ends. The exit code of the program.
  int run(int input, int output);

 private:
  bool receive();
  bool dispatch(const Frame& frame);
  bool greet(const Frame& frame);
  void handle(uint32_t channel, JsonDocument& document, JsonObject& request);
  void launch(uint32_t channel, JsonDocument& document, JsonObject& request);
  void expect(uint32_t channel, JsonDocument& document, JsonObject& request);
  void adopt(uint32_t channel, JsonDocument& document, JsonObject& request);
  void destroy(uint32_t channel, JsonDocument& document, JsonObject& request);
  void mount(uint32_t channel, JsonDocument& document, JsonObject& request);
  void take_off(uint32_t channel, JsonDocument& document, JsonObject& request);
  void take_memory(uint32_t channel, JsonDocument& document, JsonObject& request);
  void open_pool(uint32_t channel, JsonDocument& document, JsonObject& request);
  void change_subvolumes(uint32_t channel, JsonDocument& document, JsonObject& request);
  void add_layer(uint32_t channel, JsonDocument& document, JsonObject& request);
  void test(uint32_t channel, JsonDocument& document, JsonObject& request);

  bool valid(uint32_t channel, JsonDocument& document, JsonObject& request);
  Watched* find(pid_t pid);
  Watched& watch(pid_t pid, uint64_t start_time, UniqueFd pidfd, uint32_t channel);
  void ended(pid_t pid);
  void clear(Remains remains);
  template <typename Work>
  pid_t start_apart(UniqueFd& pidfd, Work work);
  template <typename Work>
  void answer_apart(uint32_t channel, const char* step, Work work);
  bool unmount_apart(Remains& remains);
  void clear_again();

  void answer(uint32_t channel, Result<> result);
  void acknowledge(uint32_t channel);
  static std::string describe(Failure failure);
  void refuse(uint32_t channel, const Refusal& refusal);
  void fail(uint32_t channel, const char* code, Failure failure);
  void send(Kind kind, uint32_t channel, std::string_view payload);
  void flush();

  Launcher launcher_;
  bool allow_faults_;
  bool greeted_ = false;
  int input_ = -1;
  int output_ = -1;
  int epoll_ = -1;
  FrameDecoder decoder_;
  std::string out_;
  std::vector<Watched> watched_;
  bool rested_ = false;       // whether now is the time to make ahead what the next launch needs
  std::deque<Remains> busy_;  // remains whose cgroup the kernel has not let go yet
};

}  // namespace plybox
