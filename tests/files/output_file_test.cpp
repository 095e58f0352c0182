#include "files/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "files/durable_file.h"
#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(OutputFile, HoldsWhatWasWrittenInPieces) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "deep" / "below" / "file";
  std::string expected;
  OutputFile file(path);
  for (int i = 0; i < 20'000; ++i) {
    const std::string piece = std::to_string(i) + '\n';
    file.write(piece);
    expected += piece;
  }
  file.close();
  EXPECT_EQ(read_file(path), expected);
}

TEST(OutputFile, TakesThePlaceOfWhatWasThere) {
  const TemporaryFolder folder;
  for (const char* content : {"a long one", "short"}) {
    OutputFile file(folder / "file");
    file.write(content);
    file.close();
  }
  EXPECT_EQ(read_file(folder / "file"), "short");
}

TEST(OutputFile, SaysWhichFileCannotBeWrittenAndWhy) {
  const TemporaryFolder folder;
  const FileSystemCalls before = file_system_calls();
  file_system_calls().write = [](int, const void*, unsigned long) -> long {
    errno = ENOSPC;
    return -1;
  };
  OutputFile file(folder / "file");
  file.write("buffered");
  EXPECT_THAT([&] { file.close(); },
              ThrowsMessage<Error>(AllOf(HasSubstr("/file"), HasSubstr("No space left on device"))));
  file_system_calls() = before;
  EXPECT_THAT([&] { OutputFile(folder / "file" / "below"); }, ThrowsMessage<Error>(HasSubstr("/file/below")));
}

}  // namespace
}  // namespace silc
