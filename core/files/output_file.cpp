#include "files/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "files/descriptor.h"

namespace silc {

namespace {

constexpr std::size_t kBufferSize = 1 << 16;

int open_with_folders(const std::filesystem::path& file) {
  std::error_code error;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), error);
  if (error) throw_io_error("write", file, error.value());
  return open_file(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, "write").release();
}

}  // namespace

OutputFile::OutputFile(const std::filesystem::path& file) : file_(file), descriptor_(open_with_folders(file)) {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::string_view data) {
  buffer_.append(data);
  if (buffer_.size() >= kBufferSize) flush();
}

void OutputFile::flush() {
  write_all(descriptor_, buffer_, file_);
  buffer_.clear();
}

void OutputFile::close() {
  flush();
  // Network file systems say here that there is no space.
  if (::close(std::exchange(descriptor_, -1)) != 0) throw_io_error("write", file_, errno);
}

}  // namespace silc
