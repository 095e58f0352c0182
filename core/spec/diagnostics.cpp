#include "spec/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace silc {
namespace {

// The lines of a message after the first.
std::vector<std::string> details_of(const std::string& message) {
  std::vector<std::string> lines;
  for (std::size_t at = message.find('\n'); at != std::string::npos;) {
    const std::size_t end = message.find('\n', at + 1);
    lines.push_back(message.substr(at + 1, end == std::string::npos ? end : end - at - 1));
    at = end;
  }
  return lines;
}

// What several faults say in further lines, as which libraries could not be used, is said once, below all of them.
std::string listed(const std::vector<Diagnostic>& diagnostics) {
  std::map<std::string, int> told;
  for (const Diagnostic& fault : diagnostics)
    for (const std::string& line : details_of(fault.message)) ++told[line];
  std::string text;
  std::vector<std::string> shared;
  for (const Diagnostic& fault : diagnostics) {
    if (!text.empty()) text += '\n';
    if (fault.line == 0)
      text += fmt::format("{}: ", fault.file);
    else
      text += fmt::format("{}:{}:{}: ", fault.file, fault.line, fault.column);
    text += fault.message.substr(0, fault.message.find('\n'));
    for (const std::string& line : details_of(fault.message)) {
      if (told[line] == 1)
        text += "\n" + line;
      else if (std::find(shared.begin(), shared.end(), line) == shared.end())
        shared.push_back(line);
    }
  }
  for (const std::string& line : shared) text += "\n" + line;
  return text;
}

}  // namespace

std::string absolute_path(const std::filesystem::path& path, const Place& place) {
  const std::filesystem::path folder = place.file == "--set" ? "" : std::filesystem::path(place.file).parent_path();
  return std::filesystem::absolute(folder / path).lexically_normal().string();
}

SpecError::SpecError(std::vector<Diagnostic> diagnostics)
    : Error(listed(diagnostics)), diagnostics_(std::move(diagnostics)) {}

void Faults::add(const Place& place, const std::string& message) {
  ++count_;
  Diagnostic fault{place.file, place.line, place.column, message};
  if (std::find(diagnostics_.begin(), diagnostics_.end(), fault) == diagnostics_.end())
    diagnostics_.push_back(std::move(fault));
}

void Faults::throw_if_any() const {
  if (empty()) return;
  std::vector<Diagnostic> sorted = diagnostics_;
  const auto key = [](const Diagnostic& fault) {
    return std::tuple(fault.file.starts_with("--"), fault.line, fault.column);
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Diagnostic& a, const Diagnostic& b) { return key(a) < key(b); });
  throw SpecError(std::move(sorted));
}

}  // namespace silc
