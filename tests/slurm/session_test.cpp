// The session that docs/slurm.md shows.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "files/durable_file.h"
#include "tests/cli/installed_silc.h"
#include "tests/cli/transcript.h"
#include "tests/slurm/slurm_cluster.h"

namespace silc {
namespace {

constexpr const char* kPage = SILC_SOURCE_DIR "/docs/slurm.md";

// The lines of the page's block of a console, and how many lines come before them.
std::pair<std::string, int> session_of(const std::string& page) {
  const auto begin = page.find("```console\n") + 11;
  const auto end = page.find("```", begin);
  return {page.substr(begin, end - begin), static_cast<int>(std::count(page.begin(), page.begin() + begin, '\n'))};
}

class Session : public testing::InstalledSilc {};

TEST_F(Session, ReadsAsTheDocumentationShowsIt) {
  const testing::SlurmCluster cluster;
  if (!cluster.fault().empty()) GTEST_SKIP() << cluster.fault();
  std::ofstream(work_ / "study.toml") << read_file(work_ / "two_rows.toml") << R"(
[launcher.slurm]
partition = "main"
time = 10
poll_seconds = 0.5
environment = ["FAKE_ENGINE"]
)";
  setenv("FAKE_ENGINE", "seed-7=once", 1);
  const auto [text, line] = session_of(read_file(kPage));
  std::istringstream stream(text);
  testing::expect_transcript("docs/slurm.md", testing::read_transcript(stream, line), work_);
  unsetenv("FAKE_ENGINE");
}

}  // namespace
}  // namespace silc
