#include "agent/single/usage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "agent/processes.h"
#include "common/unique-fd.h"

namespace plybox::single {
namespace {

struct Detail {
  uint64_t own_ticks;     // user and system
  uint64_t waited_ticks;  // of the children that it waited for
  uint64_t resident_pages;
};

bool read_detail(pid_t pid, Detail& detail) {
  char path[32], text[1024];
  std::snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  ssize_t count = file ? read(file.get(), text, sizeof(text) - 1) : -1;
  if (count <= 0) return false;
  text[count] = '\0';
  const char* rest = std::strrchr(text, ')');
  if (rest == nullptr) return false;
  unsigned long long user, system;
  long long waited_user, waited_system, resident;
  // state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority nice
  // threads itrealvalue starttime vsize rss
  if (std::sscanf(rest + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d %*d %*u %*u %lld",
                  &user, &system, &waited_user, &waited_system, &resident) != 5)
    return false;
  detail = {user + system, static_cast<uint64_t>(waited_user + waited_system), static_cast<uint64_t>(resident)};
  return true;
}

uint64_t microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000000 + static_cast<uint64_t>(time.tv_usec);
}

}  // namespace

void Usage::reset() { *this = Usage(*exempt_); }

// With the time of the children that it waited for.
void Usage::reaped(const rusage& usage) {
  reaped_us_ += microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
  cpu_us_ = std::max(cpu_us_, reaped_us_);
  peak_ = std::max(peak_, static_cast<uint64_t>(usage.ru_maxrss) * 1024);
}

void Usage::sample() {
  static const uint64_t tick_us = 1000000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  static const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t living_us = 0;
  resident_ = 0;
  processes_.clear();
  std::vector<Seen> living;
  std::vector<Process> all = list_processes();
  // Without them nothing leads from the agent to their own.
  std::erase_if(all, [&](const Process& process) {
    return std::find(exempt_->begin(), exempt_->end(), process.pid) != exempt_->end();
  });
  for (const Process& process : descendants(all, getpid())) {
    Detail detail;
    if (!read_detail(process.pid, detail)) continue;
    processes_.push_back(process.pid);
    living_us += (detail.own_ticks + detail.waited_ticks) * tick_us;
    resident_ += detail.resident_pages * page;
    living.push_back({process.pid, process.start_time, detail.own_ticks * tick_us});
  }
  for (const Seen& old : seen_) {
    bool lives = std::any_of(living.begin(), living.end(),
                             [&](const Seen& one) { return one.pid == old.pid && one.start == old.start; });
    if (!lives) seen_us_ += old.us;
  }
  seen_ = std::move(living);
  peak_ = std::max(peak_, resident_);
  uint64_t seen = seen_us_;
  for (const Seen& one : seen_) seen += one.us;
  cpu_us_ = std::max({cpu_us_, reaped_us_ + living_us, seen});
}

}  // namespace plybox::single
