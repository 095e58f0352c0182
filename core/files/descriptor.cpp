#include "files/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "files/durable_file.h"
#include "silc/error.h"

namespace silc {

namespace {

std::string_view remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free some space, then try again";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; check the permissions of the file and its folder";
    case EIO:
      return "; the disk reports a fault, look at the system's log";
    case EMFILE:
    case ENFILE:
      return "; raise the limit of open files (ulimit -n)";
    default:
      return "";
  }
}

}  // namespace

void Descriptor::close() {
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

Descriptor open_file(const std::filesystem::path& file, int flags, std::string_view action) {
  constexpr mode_t kReadAndWrite = 0666;  // less the umask
  for (;;) {
    const int number = ::open(file.c_str(), flags, kReadAndWrite);
    if (number >= 0) return Descriptor(number);
    if (errno != EINTR) throw_io_error(action, file, errno);
  }
}

void write_all(int descriptor, std::string_view data, const std::filesystem::path& file) {
  while (!data.empty()) {
    const long written = file_system_calls().write(descriptor, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_io_error("write", file, errno);
    if (written == 0) throw_io_error("write", file, EIO);
    data.remove_prefix(static_cast<std::size_t>(written));
  }
}

void throw_io_error(std::string_view action, const std::filesystem::path& file, int error) {
  std::string message = "cannot ";
  message.append(action).append(" ").append(file.string()).append(": ");
  message.append(std::generic_category().message(error)).append(remedy(error));
  throw Error(message);
}

}  // namespace silc
