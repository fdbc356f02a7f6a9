// Runs all test cases and ends with one line that a script can read.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>

namespace {

struct Totals : doctest::IReporter {
  static inline unsigned passed = 0, failed = 0;

  explicit Totals(const doctest::ContextOptions&) {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    ++(stats.testCaseSuccess ? passed : failed);
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

DOCTEST_REGISTER_LISTENER("totals", 1, Totals);

}  // namespace

int main(int argc, char** argv) {
  // A host that writes to an agent that has hung up must see the error, not die of it.
  std::signal(SIGPIPE, SIG_IGN);
  doctest::Context context(argc, argv);
  int result = context.run();
  std::printf("native: %u passed, %u failed\n", Totals::passed, Totals::failed);
  return result != 0 || Totals::passed == 0 ? 1 : 0;
}
