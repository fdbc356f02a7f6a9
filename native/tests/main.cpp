// Runs all test cases and ends with one line that a script can read.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>

#include "tests/watch.h"

namespace {

// The longest test case takes a hundredth of it, where the machine is not busy with others.
constexpr int kHangMs = 900000;

struct Teller : doctest::IReporter {
  explicit Teller(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override { plybox::test::tell_begun(test.m_name); }
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    plybox::test::tell_ended(stats.testCaseSuccess);
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

DOCTEST_REGISTER_LISTENER("teller", 1, Teller);

}  // namespace

int main(int argc, char** argv) {
  // A host that writes to an agent that has hung up must see the error, not die of it.
  std::signal(SIGPIPE, SIG_IGN);
  // What a run that is ended has said until then is not lost.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  return plybox::test::watch([&] { return doctest::Context(argc, argv).run(); }, kHangMs);
}
