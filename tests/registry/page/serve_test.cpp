// What `silc serve` answers, and what it does not (ask.py).
#include <gtest/gtest.h>

#include "tests/files/python.h"
#include "tests/registry/page/served_study.h"

namespace silc {
namespace {

class Serve : public ::testing::Test {
 protected:
  void expect(const ServedStudy& served, const std::string& check, const std::string& argument = "") {
    std::string missing;
    const auto result = testing::run_python(quoted(SILC_SOURCE_DIR "/tests/registry/page/ask.py") + " " +
                                                quoted(served.address()) + " " + check + " " + quoted(argument),
                                            missing);
    ASSERT_TRUE(result) << missing;
    EXPECT_EQ(result->exit_code, 0) << result->output;
  }

  FakeStudy study_;
};

TEST_F(Serve, AnswersThePageItsStateAndItsParts) {
  const ServedStudy served(study_);
  expect(served, "answers", study_.cell(0, 0).folder.generic_string());
}

TEST_F(Serve, NeverAnswersWithAFile) {
  FakeRuns::write(study_.fakes.runs().parent_path() / "secret", "the key to the house\n");
  const ServedStudy served(study_);
  expect(served, "tricks");
}

TEST_F(Serve, OnlyReads) {
  const ServedStudy served(study_);
  expect(served, "methods");
}

TEST_F(Serve, RefusesNamesOfOthersForThisMachine) {
  const ServedStudy served(study_);
  expect(served, "hosts");
}

TEST_F(Serve, AsksForATokenWhereOthersMayAsk) {
  const ServedStudy served(study_, {"--host", "0.0.0.0"});
  expect(served, "token");
}

TEST_F(Serve, HoldsOutFiftyBrowsersAndThoseThatSayNothing) {
  const ServedStudy served(study_);
  expect(served, "many");
}

}  // namespace
}  // namespace silc
