#include "files/activity.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>

#include "temporary_folder.h"

namespace silc {
namespace {

void enter(ActivityPage& page, std::size_t thread, std::string_view plugin) {
  std::copy(plugin.begin(), plugin.end(), page.threads[thread].text.begin());
  page.threads[thread].length = static_cast<uint32_t>(plugin.size());
}

TEST(Activity, OutlivesTheProcessThatWroteIt) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "activity";
  const pid_t child = fork();
  if (child == 0) {
    ActivityPage& page = map_activity(file);
    enter(page, 0, "objective \"silc\"");
    page.heartbeats = 42;
    raise(SIGKILL);
  }
  waitpid(child, nullptr, 0);
  const auto activity = read_activity(file);
  ASSERT_TRUE(activity);
  EXPECT_EQ(activity->plugin, "objective \"silc\"");
  EXPECT_EQ(activity->heartbeats, 42U);
  EXPECT_FALSE(activity->stack_overflowed);
}

TEST(Activity, IsThatOfTheThreadThatCrashed) {
  const TemporaryFolder folder;
  ActivityPage& page = map_activity(folder.path() / "activity");
  enter(page, 0, "objective \"silc\"");
  enter(page, 3, "dataset \"shapes\"");
  EXPECT_EQ(read_activity(folder.path() / "activity")->plugin, "objective \"silc\"") << "the main thread's";
  page.crashed = 3;
  EXPECT_EQ(read_activity(folder.path() / "activity")->plugin, "dataset \"shapes\"");
}

TEST(Activity, IsNothingWhereThereIsNoWholeFile) {
  const TemporaryFolder folder;
  EXPECT_FALSE(read_activity(folder.path() / "activity"));
  std::ofstream(folder.path() / "activity") << "short";
  EXPECT_FALSE(read_activity(folder.path() / "activity"));
  std::ofstream(folder.path() / "activity") << std::string(sizeof(ActivityPage), 'x');
  EXPECT_FALSE(read_activity(folder.path() / "activity"));
}

}  // namespace
}  // namespace silc
