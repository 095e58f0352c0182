// A file for the engine that is gone with the object. No LibTorch.
#pragma once

#include <filesystem>
#include <string_view>

namespace silc {

// A cell for the engine to read, NAME.toml in the folder for temporary files.
class TemporaryFile {
 public:
  // Throws silc::Error where it cannot be written.
  explicit TemporaryFile(std::string_view content);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace silc
