// A zip archive that is read and never unpacked: PyTorch's files and numpy's .npz are such.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct zip;  // libzip's

namespace silc {

class Archive {
 public:
  // Throws silc::Error naming the file, for one that is no archive, or a damaged one.
  explicit Archive(const std::filesystem::path& file);
  ~Archive();
  Archive(Archive&&) noexcept;
  Archive& operator=(Archive&&) noexcept;

  struct Entry {
    uint64_t index = 0;
    uint64_t size = 0;    // unpacked
    bool packed = false;  // so that it can only be read from its beginning
  };
  [[nodiscard]] const std::map<std::string, Entry>& entries() const { return entries_; }

  // Of an entry, from byte `begin`, at most `size` bytes: fewer at its end. Checked against its checksum where all of
  // it is read.
  [[nodiscard]] std::vector<std::byte> read(const std::string& name, uint64_t size, uint64_t begin = 0) const;

 private:
  struct Close {
    void operator()(::zip* archive) const;
  };
  std::filesystem::path file_;
  std::unique_ptr<::zip, Close> zip_;
  std::map<std::string, Entry> entries_;
};

}  // namespace silc
