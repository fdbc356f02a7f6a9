// The steps of a launch: each has a name, takes a time, and can be made to fail. The child that
// builds the sandbox writes into the launcher's record, so one which dies has still said how far it came.
#pragma once
#include <stdio.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace plybox {

struct StepTime {
  const char* name;  // a literal of this program
  uint64_t ns;
};

struct StepRecord {
  static constexpr size_t kMaxSteps = 40;
  std::array<StepTime, kMaxSteps> steps;
  size_t count;
  const char* failed_step;  // null: nothing failed
  int error;
  size_t bind;  // in the steps about binds: how many were done, so which one failed

  static uint64_t now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
  }

  void add(const char* name, uint64_t ns) {
    if (count < kMaxSteps) steps[count++] = {name, ns};
  }

  void fail(Failure failure) {
    failed_step = failure.step;
    error = failure.error;
  }

  // Runs `action`, whose Failure names this step. Answers whether it succeeded.
  template <typename Action>
  bool run(const char* name, std::string_view fail_at, Action action) {
    uint64_t begin = now();
    Result<> result = fail_at == name ? Result<>(Failure{name, EIO}) : action();
    add(name, now() - begin);
    if (result) return true;
    fail({name, result.failure().error});
    return false;
  }
};

// Such as "overlay:38.200 move:5.100": each step with its microseconds.
inline std::string to_text(const StepRecord& record) {
  std::string text;
  for (size_t i = 0; i < record.count; i++) {
    const auto& [name, ns] = record.steps[i];
    char part[64];
    unsigned long long us = ns / 1000;
    snprintf(part, sizeof(part), "%s%s:%llu.%03llu", i == 0 ? "" : " ", name, us,
             static_cast<unsigned long long>(ns % 1000));
    text += part;
  }
  return text;
}

}  // namespace plybox
