#include "cli/live_lines.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace silc {

namespace {

winsize size_of_terminal(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    size.ws_col = 80;
    size.ws_row = 24;
  }
  return size;
}

std::string repeat(std::string_view text, size_t times) {
  std::string result;
  for (size_t i = 0; i < times; ++i) result += text;
  return result;
}

}  // namespace

LiveLines::~LiveLines() {
  if (cursor_hidden_) write(erasure() + "\033[?25h");
}

void LiveLines::show(const std::vector<std::string>& lines) {
  std::string text = erasure();
  if (!cursor_hidden_) text += "\033[?25l";
  cursor_hidden_ = true;
  for (const std::string& line : lines) text += line + "\n";
  lines_ = lines;
  // One write: a terminal shows no half-drawn state.
  write(text);
}

void LiveLines::message(std::string_view text) {
  std::string all = erasure();
  all += text;
  all += "\n";
  for (const std::string& line : lines_) all += line + "\n";
  write(all);
}

size_t LiveLines::width() const { return size_of_terminal(descriptor_).ws_col; }

size_t LiveLines::height() const { return size_of_terminal(descriptor_).ws_row; }

void LiveLines::write(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written <= 0) return;  // nobody looks any more
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string LiveLines::erasure() const {
  if (lines_.empty()) return {};
  return "\033[" + std::to_string(lines_.size()) + "A\r\033[J";
}

bool is_utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string locale = value;
    std::transform(locale.begin(), locale.end(), locale.begin(), [](unsigned char c) { return std::tolower(c); });
    return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  }
  return false;
}

std::string progress_bar(double fraction, size_t width, bool utf8) {
  const double part = std::clamp(std::isfinite(fraction) ? fraction : 0.0, 0.0, 1.0);
  const auto filled = static_cast<size_t>(std::floor(part * static_cast<double>(width)));
  return repeat(utf8 ? "━" : "#", filled) + repeat(utf8 ? "─" : "-", width - filled);
}

}  // namespace silc
