// docs/reference/plugins.md says what the plugins declare.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  char buffer[4096];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, got);
  return pclose(pipe) == 0 ? text : "(failed) " + text;
}

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
