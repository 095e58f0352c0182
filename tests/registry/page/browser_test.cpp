// Drives pages in headless Chromium (browser.py); skipped where there is none.
#include <gtest/gtest.h>

#include "files/durable_file.h"
#include "tests/files/python.h"
#include "tests/registry/page/fake_study.h"
#include "tests/registry/page/served_study.h"

namespace silc {
namespace {

void expect_in_browser(const std::string& address, const std::string& check, const std::string& argument = "") {
  std::string missing;
  const auto result = testing::run_python(quoted(SILC_SOURCE_DIR "/tests/registry/page/browser.py") + " " +
                                              quoted(address) + " " + check + " " + quoted(argument),
                                          missing);
  if (!result) GTEST_SKIP() << missing;
  EXPECT_EQ(result->exit_code, 0) << result->output;
}

class PageInABrowser : public ::testing::Test {
 protected:
  PageInABrowser() { write_file_durably(file_, format_page(make_page(study_.request()))); }

  void expect(const std::string& check, const std::string& argument = "") {
    expect_in_browser("file://" + file_.string(), check, argument);
  }

  FakeStudy study_;
  std::filesystem::path file_ = study_.fakes.runs().parent_path() / "page.html";
};

TEST_F(PageInABrowser, SortsATableByAnyColumn) { expect("sort"); }
TEST_F(PageInABrowser, ShowsTheRowsThatAreAskedFor) { expect("filter"); }
TEST_F(PageInABrowser, OpensACell) { expect("open"); }
TEST_F(PageInABrowser, ShowsAnotherMetric) { expect("metric"); }
TEST_F(PageInABrowser, IsReadByKeyboard) { expect("keyboard"); }
TEST_F(PageInABrowser, TakesNamesForNames) { expect("hostile", kHostileRow); }
TEST_F(PageInABrowser, FitsAPhone) { expect("phone"); }
TEST_F(PageInABrowser, HasANameForEverything) { expect("labels"); }

class ServedPage : public ::testing::Test {
 protected:
  FakeStudy study_;
  ServedStudy served_{study_};
};

TEST_F(ServedPage, OpensACell) { expect_in_browser(served_.address(), "open"); }
TEST_F(ServedPage, ShowsAnotherMetric) { expect_in_browser(served_.address(), "metric"); }

TEST_F(ServedPage, GrowsWithoutBeingLoadedAgain) {
  const PlannedCell& cell = study_.cell(3, 0);
  study_.train(cell, 12, 3);
  // What `silc run` does while a cell runs.
  const std::string command = quoted(kSilcProgram) + " registry rebuild -q --runs " +
                              quoted(study_.fakes.runs().string()) + " --registry " +
                              quoted(study_.fakes.registry_file().string());
  expect_in_browser(served_.address(), "grows", command);
}

}  // namespace
}  // namespace silc
