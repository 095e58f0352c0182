#include "plugins/datasets/patterns.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "silc/error.h"

namespace silc::datasets {
namespace {

constexpr std::size_t kMostNames = 10'000'000;

// The brace that closes the one at `open`; npos if there is none.
std::size_t closing(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    if (text[at] == '{') ++depth;
    if (text[at] == '}' && --depth == 0) return at;
  }
  return std::string_view::npos;
}

std::vector<std::string_view> split_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '{') ++depth;
    if (text[at] == '}') --depth;
    if (text[at] == ',' && depth == 0) {
      parts.push_back(text.substr(begin, at - begin));
      begin = at + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::optional<int64_t> number_in(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "000..012"; nothing for what is no range.
std::optional<std::vector<std::string>> range_in(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view first = text.substr(0, dots);
  const std::string_view last = text.substr(dots + 2);
  const auto from = number_in(first);
  const auto to = number_in(last);
  if (!from || !to || *from < 0 || *to < 0) return std::nullopt;
  const auto padded = [](std::string_view digits) { return digits.size() > 1 && digits[0] == '0'; };
  const std::size_t width = padded(first) || padded(last) ? std::max(first.size(), last.size()) : 0;
  const int64_t step = *from <= *to ? 1 : -1;
  const int64_t count = std::abs(*to - *from) + 1;
  if (static_cast<std::size_t>(count) > kMostNames) throw Error(fmt::format("{{{}}} are {} names", text, count));
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(fmt::format("{:0{}}", *from + i * step, width));
  return names;
}

}  // namespace

std::vector<std::string> expand_braces(std::string_view pattern) {
  for (std::size_t open = pattern.find('{'); open != std::string_view::npos; open = pattern.find('{', open + 1)) {
    const std::size_t close = closing(pattern, open);
    if (close == std::string_view::npos) continue;
    const std::string_view inside = pattern.substr(open + 1, close - open - 1);
    std::vector<std::string> middles;
    if (const auto range = range_in(inside)) {
      middles = *range;
    } else if (const auto parts = split_commas(inside); parts.size() > 1) {
      for (const std::string_view part : parts)
        for (std::string& name : expand_braces(part)) middles.push_back(std::move(name));
    } else {
      continue;
    }
    const std::vector<std::string> ends = expand_braces(pattern.substr(close + 1));
    if (middles.size() > kMostNames / std::max<std::size_t>(ends.size(), 1))
      throw Error(fmt::format("\"{}\" stands for more than {} names", pattern, kMostNames));
    std::vector<std::string> names;
    for (const std::string& middle : middles)
      for (const std::string& end : ends) names.push_back(std::string(pattern.substr(0, open)) + middle + end);
    return names;
  }
  return {std::string(pattern)};
}

std::vector<std::string> expand_glob(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) return {pattern};
  glob_t found{};
  std::vector<std::string> names;
  if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    names.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace silc::datasets
