#include "spec/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace silc {
namespace {

std::string listed(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& fault : diagnostics) {
    if (!text.empty()) text += '\n';
    if (fault.line == 0)
      text += fmt::format("{}: {}", fault.file, fault.message);
    else
      text += fmt::format("{}:{}:{}: {}", fault.file, fault.line, fault.column, fault.message);
  }
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
