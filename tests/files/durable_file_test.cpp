#include "files/durable_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

namespace fs = std::filesystem;

// A disk on which one system call after the other fails.
struct FailingDisk {
  int calls = 0;
  int failing_call = -1;  // number of the call that fails
  int error = EIO;
  bool short_writes = false;              // one byte at a time
  std::vector<std::string> history = {};  // names of the calls
};
FailingDisk disk;

bool fails(const char* name) {
  disk.history.emplace_back(name);
  if (disk.calls++ != disk.failing_call) return false;
  errno = disk.error;
  return true;
}

long failing_write(int descriptor, const void* data, unsigned long size) {
  if (fails("write")) return -1;
  return ::write(descriptor, data, disk.short_writes && size > 1 ? 1 : size);
}
int failing_fsync(int descriptor) { return fails("fsync") ? -1 : ::fsync(descriptor); }
int failing_rename(const char* from, const char* to) { return fails("rename") ? -1 : std::rename(from, to); }

class DurableFile : public testing::Test {
 protected:
  void SetUp() override {
    disk = {};
    file_system_calls() = {failing_write, failing_fsync, failing_rename};
  }
  void TearDown() override { file_system_calls() = {::write, ::fsync, ::rename}; }

  // How often writing `content` calls the disk.
  int count_calls(std::string_view content) {
    disk = {};
    write_file_durably(folder_ / "counted", content);
    return disk.calls;
  }

  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename());
    return names;
  }

  TemporaryFolder folder_;
};

TEST_F(DurableFile, ReplacesTheOldContent) {
  write_file_durably(folder_ / "a", "old");
  write_file_durably(folder_ / "a", "new");
  EXPECT_EQ(read_file(folder_ / "a"), "new");
  EXPECT_THAT(entries(), testing::ElementsAre("a"));
}

TEST_F(DurableFile, JoinsParts) {
  write_file_durably(folder_ / "a", std::array<std::string_view, 3>{"one", "", "two"});
  EXPECT_EQ(read_file(folder_ / "a"), "onetwo");
}

TEST_F(DurableFile, SyncsTheContentBeforeItGetsItsNameAndTheFolderAfterIt) {
  write_file_durably(folder_ / "a", "content");
  EXPECT_THAT(disk.history, testing::ElementsAre("write", "fsync", "rename", "fsync"));
}

TEST_F(DurableFile, KeepsTheOldContentWhicheverCallBeforeTheRenameFails) {
  write_file_durably(folder_ / "a", "old");
  const int calls_before_folder_sync = count_calls("new content") - 1;
  ASSERT_EQ(calls_before_folder_sync, 3);
  for (const int error : {ENOSPC, EIO, EDQUOT}) {
    for (int call = 0; call < calls_before_folder_sync; ++call) {
      disk = {.failing_call = call, .error = error};
      EXPECT_THROW(write_file_durably(folder_ / "a", "new content"), Error) << "call " << call;
      EXPECT_EQ(read_file(folder_ / "a"), "old") << "call " << call;
    }
  }
}

TEST_F(DurableFile, LeavesNoTemporaryFileAfterAFault) {
  disk = {.failing_call = 1};
  EXPECT_THROW(write_file_durably(folder_ / "a", "content"), Error);
  EXPECT_THAT(entries(), testing::IsEmpty());
}

TEST_F(DurableFile, HasOneOfBothContentsWhenTheFolderCannotBeSynced) {
  write_file_durably(folder_ / "a", "old");
  disk = {.failing_call = 3};
  EXPECT_THROW(write_file_durably(folder_ / "a", "new"), Error);
  EXPECT_THAT(read_file(folder_ / "a"), testing::AnyOf("old", "new"));
}

TEST_F(DurableFile, NamesTheFileAndTheReason) {
  disk = {.failing_call = 0, .error = ENOSPC};
  EXPECT_THAT([&] { write_file_durably(folder_ / "cell.toml", "content"); },
              ThrowsMessage<Error>(testing::AllOf(HasSubstr((folder_ / "cell.toml").string() + ": "),
                                                  HasSubstr("No space left on device"), HasSubstr("free some space"))));
}

TEST_F(DurableFile, GoesOnAfterShortWrites) {
  disk = {.short_writes = true};
  write_file_durably(folder_ / "a", "piece by piece");
  EXPECT_EQ(read_file(folder_ / "a"), "piece by piece");
}

TEST_F(DurableFile, GoesOnAfterASignalInWhicheverWriteOrSync) {
  for (const int call : {0, 1, 3}) {  // write, sync of the file, sync of the folder
    const std::string content = "content " + std::to_string(call);
    disk = {.failing_call = call, .error = EINTR};
    write_file_durably(folder_ / "a", content);
    EXPECT_EQ(read_file(folder_ / "a"), content);
  }
}

TEST_F(DurableFile, TakesOverWhatAKilledWriterLeft) {
  std::ofstream(folder_ / "a.tmp") << "a longer beginning of something";
  write_file_durably(folder_ / "a", "whole");
  EXPECT_EQ(read_file(folder_ / "a"), "whole");
  EXPECT_THAT(entries(), testing::ElementsAre("a"));
}

TEST_F(DurableFile, StaysWholeUnderConcurrentWriters) {
  file_system_calls() = {::write, ::fsync, ::rename};
  std::vector<std::thread> writers;
  for (const char letter : {'a', 'b', 'c'})
    writers.emplace_back([&, letter] {
      for (int i = 0; i < 10; ++i) write_file_durably(folder_ / "a", std::string(10'000, letter));
    });
  for (std::thread& writer : writers) writer.join();
  const std::string content = read_file(folder_ / "a");
  EXPECT_EQ(content, std::string(10'000, content.at(0)));
}

TEST_F(DurableFile, RefusesAFolderThatDoesNotExist) {
  EXPECT_THAT([&] { write_file_durably(folder_ / "none/a", "content"); },
              ThrowsMessage<Error>(HasSubstr("No such file or directory")));
}

TEST_F(DurableFile, NamesAFileThatCannotBeRead) {
  EXPECT_THAT([&] { read_file(folder_ / "none"); }, ThrowsMessage<Error>(HasSubstr((folder_ / "none").string())));
}

TEST_F(DurableFile, ReadsFromAnOffset) {
  write_file_durably(folder_ / "a", "0123456789");
  EXPECT_EQ(read_file(folder_ / "a", 7), "789");
  EXPECT_EQ(read_file(folder_ / "a", 20), "");
}

using LineAppenderTest = DurableFile;

TEST_F(DurableFile, AsksForItsPartsOneByOne) {
  std::string part;
  write_file_durably(folder_ / "a", 3, [&](std::size_t i) -> std::string_view { return part = std::to_string(i); });
  EXPECT_EQ(read_file(folder_ / "a"), "012");
}

class DurableFolder : public DurableFile {
 protected:
  void write_with(const std::string& name) {
    write_folder_durably(folder_ / "whole", [&](const fs::path& beside) { write_file_durably(beside / name, "text"); });
  }

  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_ / "whole")) found.push_back(entry.path().filename());
    return found;
  }
};

TEST_F(DurableFolder, TakesThePlaceOfAnEmptyOneAndOfAFullOne) {
  fs::create_directory(folder_ / "whole");
  write_with("a");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
  write_with("b");
  EXPECT_EQ(names(), std::vector<std::string>{"b"});
  EXPECT_FALSE(fs::exists(folder_ / "whole.tmp"));
}

TEST_F(DurableFolder, KeepsTheOldFilesWhicheverCallFails) {
  write_with("a");
  disk = {};
  write_with("a");
  const int calls = disk.calls;
  for (int call = 0; call + 1 < calls; ++call) {  // the last one comes after the exchange
    disk = {.failing_call = call};
    EXPECT_THROW(write_with("b"), Error) << call;
    EXPECT_EQ(names(), std::vector<std::string>{"a"}) << call;
    EXPECT_FALSE(fs::exists(folder_ / "whole.tmp")) << call;
  }
}

TEST_F(DurableFolder, TakesOverWhatAKilledWriterLeft) {
  fs::create_directories(folder_ / "whole.tmp");
  std::ofstream(folder_ / "whole.tmp/rest") << "half";
  write_with("a");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(LineAppenderTest, AppendsToWhatIsThere) {
  LineAppender(folder_ / "a").append("one", true);
  LineAppender(folder_ / "a").append("two", false);
  EXPECT_EQ(read_file(folder_ / "a"), "one\ntwo\n");
}

TEST_F(LineAppenderTest, SyncsOnlyWhenAsked) {
  LineAppender lines(folder_ / "a");
  disk.history.clear();
  lines.append("one", false);
  EXPECT_THAT(disk.history, testing::ElementsAre("write"));
  lines.append("two", true);
  EXPECT_THAT(disk.history, testing::ElementsAre("write", "write", "fsync"));
}

TEST_F(LineAppenderTest, RemovesACutLineFirst) {
  std::ofstream(folder_ / "a") << "whole\ncut in the mid";
  LineAppender(folder_ / "a").append("next", true);
  EXPECT_EQ(read_file(folder_ / "a"), "whole\nnext\n");
}

TEST_F(LineAppenderTest, RemovesACutLineThatIsLongerThanAnyBuffer) {
  std::ofstream(folder_ / "a") << "whole\n" << std::string(100'000, 'x');
  LineAppender(folder_ / "a").append("next", true);
  EXPECT_EQ(read_file(folder_ / "a"), "whole\nnext\n");
}

TEST_F(LineAppenderTest, RemovesACutFirstLine) {
  std::ofstream(folder_ / "a") << "cut";
  LineAppender(folder_ / "a").append("first", true);
  EXPECT_EQ(read_file(folder_ / "a"), "first\n");
}

TEST_F(LineAppenderTest, CanAppendALineAgainWhicheverCallFailed) {
  for (int call = 0; call < 4; ++call) {
    const fs::path file = folder_ / std::to_string(call);
    LineAppender lines(file);
    lines.append("first", true);
    disk = {.failing_call = call, .error = ENOSPC, .short_writes = true};
    EXPECT_THROW(lines.append("ab", true), Error) << "call " << call;
    lines.append("ab", true);
    EXPECT_EQ(read_file(file), "first\nab\n") << "call " << call;
  }
}

TEST_F(LineAppenderTest, RefusesTwoLinesInOne) {
  LineAppender lines(folder_ / "a");
  EXPECT_THROW(lines.append("one\ntwo", true), std::logic_error);
}

using FileLockTest = DurableFile;

TEST_F(FileLockTest, IsHeldByOneAtATime) {
  const auto lock = FileLock::try_lock(folder_ / "lock");
  ASSERT_NE(lock, nullptr);
  EXPECT_EQ(FileLock::try_lock(folder_ / "lock"), nullptr);
}

TEST_F(FileLockTest, IsFreeOnceDestroyed) {
  FileLock::try_lock(folder_ / "lock");
  EXPECT_NE(FileLock::try_lock(folder_ / "lock"), nullptr);
}

TEST_F(FileLockTest, IsSeenWithoutBeingTaken) {
  EXPECT_FALSE(FileLock::is_locked(folder_ / "lock"));
  auto lock = FileLock::try_lock(folder_ / "lock");
  EXPECT_TRUE(FileLock::is_locked(folder_ / "lock"));
  lock.reset();
  EXPECT_FALSE(FileLock::is_locked(folder_ / "lock"));
}

TEST_F(FileLockTest, StaysHeldByAChildThatOutlivesItsParent) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  auto lock = FileLock::try_lock(folder_ / "lock");
  const pid_t child = ::fork();
  if (child == 0) {
    // A program of its own, as the engine is: the lock passes through exec.
    ::dup2(pipe[0], STDIN_FILENO);
    ::execlp("cat", "cat", nullptr);
    ::_exit(127);
  }
  ::close(pipe[0]);
  lock.reset();
  EXPECT_EQ(FileLock::try_lock(folder_ / "lock"), nullptr);
  ::close(pipe[1]);  // ends cat
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_NE(FileLock::try_lock(folder_ / "lock"), nullptr);
}

}  // namespace
}  // namespace silc
