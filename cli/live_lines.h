// Lines at the bottom of a terminal that are redrawn in place. No LibTorch.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace silc {

class LiveLines {
 public:
  explicit LiveLines(int descriptor) : descriptor_(descriptor) {}
  ~LiveLines();  // wipes the lines and shows the cursor again
  LiveLines(const LiveLines&) = delete;
  LiveLines& operator=(const LiveLines&) = delete;

  // Puts `lines` in place of those shown before; they must fit width() and height(), without newlines.
  void show(const std::vector<std::string>& lines);
  // Scrolls by above the lines, and stays.
  void message(std::string_view text);

  // Of the terminal, now.
  [[nodiscard]] size_t width() const;
  [[nodiscard]] size_t height() const;

 private:
  void write(std::string_view text) const;
  [[nodiscard]] std::string erasure() const;

  int descriptor_;
  std::vector<std::string> lines_;
  bool cursor_hidden_ = false;
};

// Whether the terminal takes "━" for what it is.
bool is_utf8_locale();

// `fraction` of `width` columns filled.
std::string progress_bar(double fraction, size_t width, bool utf8);

}  // namespace silc
