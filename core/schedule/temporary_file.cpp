#include "schedule/temporary_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include "silc/error.h"

namespace silc {

TemporaryFile::TemporaryFile(std::string_view content) {
  std::string name = (std::filesystem::temp_directory_path() / "silc-cell-XXXXXX.toml").string();
  const int file = mkstemps(name.data(), static_cast<int>(std::strlen(".toml")));
  if (file < 0) throw Error(name + ": " + std::strerror(errno) + "; TMPDIR names another place");
  path_ = name;
  const bool whole = write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  close(file);
  if (!whole) {
    std::filesystem::remove(path_);
    throw Error(name + ": cannot be written; TMPDIR names another place");
  }
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace silc
