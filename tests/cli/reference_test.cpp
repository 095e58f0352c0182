// docs/reference/plugins.md says what the plugins declare.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/cli/shell.h"

namespace {

using silc::testing::output_of;

TEST(Reference, ListsThePluginsAsTheyAre) {
  unsetenv("SILC_PLUGIN_PATH");
  const std::string file = SILC_SOURCE_DIR "/docs/reference/plugins.md";
  std::ifstream stream(file);
  const std::string written((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const std::string now = output_of("'" SILC_BINARY_DIR "/bin/silc' plugin show --all --markdown");
  EXPECT_TRUE(written == now) << file
                              << " is out of date; write it anew with\n  ./dev silc plugin show --all --markdown"
                              << " > docs/reference/plugins.md\nThe plugins now say:\n"
                              << now;
}

}  // namespace
