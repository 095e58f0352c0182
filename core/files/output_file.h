// A file for other programs, written from beginning to end in small pieces: what can be made again, so it is not
// synced. No LibTorch.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace silc {

class OutputFile {
 public:
  // Makes the file, empty, and the folders that it lies in. All members throw silc::Error naming the file.
  explicit OutputFile(const std::filesystem::path& file);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view data);

  // Writes what is left. Without it, the end of the file may be missing.
  void close();

 private:
  void flush();

  std::filesystem::path file_;
  int descriptor_;
  std::string buffer_;
};

}  // namespace silc
