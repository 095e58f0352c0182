// Faults of an experiment file: all of them are collected before any is shown. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "silc/error.h"

namespace silc {

// Where in a file something stands.
struct Place {
  std::string file;     // or "--set", "--rows", "--seeds"
  uint32_t line = 0;    // from 1; 0: the file as a whole
  uint32_t column = 0;  // from 1

  friend bool operator==(const Place&, const Place&) = default;
};

// A path in a file starts from that file's folder, one of the command line from the working directory.
std::string absolute_path(const std::filesystem::path& path, const Place& place);

// One fault of an experiment file.
struct Diagnostic {
  std::string file;
  uint32_t line = 0;    // from 1; 0: the file as a whole
  uint32_t column = 0;  // from 1
  std::string message;

  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

// Carries every fault that was found; what() lists them, one a line, as "file:line:column: message".
class SpecError : public Error {
 public:
  explicit SpecError(std::vector<Diagnostic> diagnostics);
  [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

// Collects faults. The same fault found twice (two rows inherit one mistake) counts once.
class Faults {
 public:
  void add(const Place& place, const std::string& message);
  [[nodiscard]] bool empty() const { return diagnostics_.empty(); }
  // How often one was found, the same one again included.
  [[nodiscard]] std::size_t count() const { return count_; }

  // In order of the file, those of the command line last.
  void throw_if_any() const;

 private:
  std::vector<Diagnostic> diagnostics_;
  std::size_t count_ = 0;
};

}  // namespace silc
