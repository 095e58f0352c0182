// A file descriptor that closes itself, and errno in words. Inside core/files only.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

namespace silc {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] int release() { return std::exchange(number_, -1); }
  void close();

 private:
  int number_ = -1;
};

// open(2), again if a signal interrupts it. Throws silc::Error ("cannot ACTION FILE: …").
Descriptor open_file(const std::filesystem::path& file, int flags, std::string_view action);

// All of `data`, by write(2) as file_system_calls() has it. Throws silc::Error naming `file`.
void write_all(int descriptor, std::string_view data, const std::filesystem::path& file);

// Throws silc::Error: "cannot write runs/a/cell.toml: No space left on device; free some space, then try again".
[[noreturn]] void throw_io_error(std::string_view action, const std::filesystem::path& file, int error);

}  // namespace silc
