// The one way in which silc writes to disk: what is said to be written survives a power cut, and a reader sees the old
// content or the new, never a part. Tests put a failing disk in its place. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace silc {

// Writes to `file`.tmp, syncs it, renames it over `file`, syncs the folder. Safe against other processes that write the
// same file: each content is whole, the last one stays. What a killed writer leaves is taken over by the next one.
// Throws silc::Error naming the file and the reason ("No space left on device"); the old content is then still there,
// unless only the last step failed, after which it is not known which of the two a power cut leaves.
void write_file_durably(const std::filesystem::path& file, std::span<const std::string_view> parts);
void write_file_durably(const std::filesystem::path& file, std::string_view content);
// The same of `count` parts, each asked for when its turn comes; it need only live until the next one is.
void write_file_durably(const std::filesystem::path& file, std::size_t count,
                        const std::function<std::string_view(std::size_t)>& part);

// A folder that is there whole or not at all: `fill` writes its files, durably, into a folder beside it, FOLDER.tmp,
// which then takes its place and, in one step, that of a folder that was there before. What a killed writer leaves is
// taken over by the next one. Throws silc::Error naming the folder and the reason, or what `fill` throws; what was
// there is then there still.
void write_folder_durably(const std::filesystem::path& folder,
                          const std::function<void(const std::filesystem::path&)>& fill);

// Whole lines, appended and synced: a crash loses the lines not yet appended, and leaves at most one cut line at the
// end, which the next append removes first and readers pass over. One process at a time.
class LineAppender {
 public:
  explicit LineAppender(const std::filesystem::path& file);
  ~LineAppender();
  LineAppender(LineAppender&&) noexcept;
  LineAppender& operator=(LineAppender&&) noexcept;

  // `line` without its newline. `sync`: not returned before it is on disk. Throws silc::Error; the line may then be
  // appended again.
  void append(std::string_view line, bool sync);

 private:
  int descriptor_ = -1;
  std::filesystem::path file_;
};

// Reads a whole file; throws silc::Error naming it. `offset`: bytes to skip.
std::string read_file(const std::filesystem::path& file, uint64_t offset = 0);

// Holds an exclusive advisory lock (fcntl's open file description lock) on a file until destroyed. Inherited by child
// processes on purpose: a folder whose engine still runs stays locked when silc has died.
class FileLock {
 public:
  // Null if somebody else holds it. Creates the file.
  static std::unique_ptr<FileLock> try_lock(const std::filesystem::path& file);
  // Whether anybody, this process included, holds it. Does not take the lock, so it disturbs nobody who wants it.
  static bool is_locked(const std::filesystem::path& file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// Test seam: the system calls that writing uses. Replace to make a disk fail.
struct FileSystemCalls {
  long (*write)(int descriptor, const void* data, unsigned long size);
  int (*fsync)(int descriptor);
  int (*rename)(const char* from, const char* to);
};
FileSystemCalls& file_system_calls();

}  // namespace silc
