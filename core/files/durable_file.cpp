#include "files/durable_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "files/descriptor.h"
#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

void sync(int descriptor, const fs::path& file) {
  while (file_system_calls().fsync(descriptor) != 0)
    if (errno != EINTR) throw_io_error("sync", file, errno);
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

// Makes the folder's entries durable, such as the new name of a file.
void sync_folder(const fs::path& folder) {
  const Descriptor descriptor = open_file(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, "open");
  while (file_system_calls().fsync(descriptor.number()) != 0) {
    if (errno == EINVAL) return;  // file systems that have no such call keep the order by themselves
    if (errno != EINTR) throw_io_error("sync", folder, errno);
  }
}

struct stat status_of(int descriptor, const fs::path& file) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_io_error("look at", file, errno);
  return status;
}

void shorten(int descriptor, off_t size, const fs::path& file) {
  if (::ftruncate(descriptor, size) != 0) throw_io_error("write", file, errno);
}

// The temporary file, empty and locked against other writers of the same file.
Descriptor open_temporary(const fs::path& temporary) {
  for (;;) {
    Descriptor descriptor = open_file(temporary, O_WRONLY | O_CREAT | O_CLOEXEC, "write");
    while (::flock(descriptor.number(), LOCK_EX) != 0)
      if (errno != EINTR) throw_io_error("lock", temporary, errno);
    // The one who held the lock before has renamed the file away: then this is no longer the temporary file.
    struct stat named {};
    const struct stat opened = status_of(descriptor.number(), temporary);
    if (::stat(temporary.c_str(), &named) != 0 || named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)
      continue;
    shorten(descriptor.number(), 0, temporary);
    return descriptor;
  }
}

// Length of the part of a file that consists of whole lines.
off_t whole_lines(int descriptor, const fs::path& file) {
  off_t end = status_of(descriptor, file).st_size;
  std::array<char, 4096> block{};
  while (end > 0) {
    const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(block.size()));
    const auto size = static_cast<std::size_t>(end - begin);
    const ssize_t got = ::pread(descriptor, block.data(), size, begin);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(size)) throw_io_error("read", file, got < 0 ? errno : EIO);
    const std::size_t newline = std::string_view(block.data(), size).rfind('\n');
    if (newline != std::string_view::npos) return begin + static_cast<off_t>(newline) + 1;
    end = begin;
  }
  return 0;
}

struct flock whole_file_lock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

void write_file_durably(const fs::path& file, std::size_t count,
                        const std::function<std::string_view(std::size_t)>& part) {
  const fs::path temporary = file.string() + ".tmp";
  const Descriptor descriptor = open_temporary(temporary);
  try {
    for (std::size_t i = 0; i < count; ++i) write_all(descriptor.number(), part(i), file);
    sync(descriptor.number(), file);
    if (file_system_calls().rename(temporary.c_str(), file.c_str()) != 0) throw_io_error("write", file, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(folder_of(file));
}

void write_file_durably(const fs::path& file, std::span<const std::string_view> parts) {
  write_file_durably(file, parts.size(), [&](std::size_t i) { return parts[i]; });
}

void write_file_durably(const fs::path& file, std::string_view content) {
  write_file_durably(file, std::span(&content, 1));
}

void write_folder_durably(const fs::path& folder, const std::function<void(const fs::path&)>& fill) {
  const fs::path target = fs::absolute(folder).lexically_normal();
  const fs::path named = target.has_filename() ? target : target.parent_path();
  const fs::path temporary = named.string() + ".tmp";
  std::error_code error;
  fs::create_directories(temporary, error);
  if (error) throw_io_error("write", temporary, error.value());
  const Descriptor descriptor = open_file(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC, "open");
  if (::flock(descriptor.number(), LOCK_EX | LOCK_NB) != 0)
    throw Error("another process is writing " + named.string() + "; wait for it, or name another folder");
  for (const auto& left : fs::directory_iterator(temporary)) fs::remove_all(left);
  try {
    fill(temporary);
    sync_folder(temporary);
    const bool replaces = fs::exists(named) && !fs::is_empty(named);
    if ((replaces ? ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, named.c_str(), RENAME_EXCHANGE)
                  : file_system_calls().rename(temporary.c_str(), named.c_str())) != 0)
      throw_io_error("write", named, errno);
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
  fs::remove_all(temporary, error);  // where it was exchanged: what was there before
  sync_folder(folder_of(named));
}

LineAppender::LineAppender(const fs::path& file) : file_(file) {
  Descriptor descriptor = open_file(file, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, "write");
  if (status_of(descriptor.number(), file).st_size == 0) sync_folder(folder_of(file));
  descriptor_ = descriptor.release();
}

LineAppender::~LineAppender() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

LineAppender::LineAppender(LineAppender&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), file_(std::move(other.file_)) {}

LineAppender& LineAppender::operator=(LineAppender&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(file_, other.file_);
  return *this;
}

void LineAppender::append(std::string_view line, bool sync_line) {
  if (line.find('\n') != std::string_view::npos)
    throw std::logic_error("a line of " + file_.string() + " holds a newline");
  const off_t whole = whole_lines(descriptor_, file_);
  if (whole != status_of(descriptor_, file_).st_size) shorten(descriptor_, whole, file_);
  std::string with_newline(line);
  with_newline += '\n';
  try {
    write_all(descriptor_, with_newline, file_);
    if (sync_line) sync(descriptor_, file_);
  } catch (...) {
    // Best effort: the fault that is on its way says more, and the next append tries again.
    std::ignore = ::ftruncate(descriptor_, whole);
    throw;
  }
}

std::string read_file(const fs::path& file, uint64_t offset) {
  const Descriptor descriptor = open_file(file, O_RDONLY | O_CLOEXEC, "read");
  const auto size = static_cast<uint64_t>(status_of(descriptor.number(), file).st_size);
  std::string content;
  content.reserve(size > offset ? size - offset : 0);
  std::array<char, 1 << 16> block;
  for (auto position = static_cast<off_t>(offset);;) {
    const ssize_t got = ::pread(descriptor.number(), block.data(), block.size(), position);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io_error("read", file, errno);
    if (got == 0) return content;
    content.append(block.data(), static_cast<std::size_t>(got));
    position += got;
  }
}

std::unique_ptr<FileLock> FileLock::try_lock(const fs::path& file) {
  Descriptor descriptor = open_file(file, O_RDWR | O_CREAT, "lock");
  struct flock lock = whole_file_lock();
  while (::fcntl(descriptor.number(), F_OFD_SETLK, &lock) != 0) {
    if (errno == EAGAIN || errno == EACCES) return nullptr;
    if (errno != EINTR) throw_io_error("lock", file, errno);
  }
  return std::unique_ptr<FileLock>(new FileLock(descriptor.release()));
}

bool FileLock::is_locked(const fs::path& file) {
  if (!fs::exists(file)) return false;
  const Descriptor descriptor = open_file(file, O_RDONLY | O_CLOEXEC, "look at");
  struct flock lock = whole_file_lock();
  if (::fcntl(descriptor.number(), F_OFD_GETLK, &lock) != 0) throw_io_error("look at", file, errno);
  return lock.l_type != F_UNLCK;
}

// Closing, not unlocking: a child process that inherited the lock keeps it.
FileLock::~FileLock() { ::close(descriptor_); }

FileSystemCalls& file_system_calls() {
  static FileSystemCalls calls{::write, ::fsync, ::rename};
  return calls;
}

}  // namespace silc
