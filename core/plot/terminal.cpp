#include "plot/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string_view>

#include "plot/scale.h"
#include "text/display.h"

namespace silc::plot {

namespace {

// Dots of braille characters, two by four in each.
class Canvas {
 public:
  Canvas(std::size_t width, std::size_t height) : width_(width), cells_(width * height, 0) {}

  [[nodiscard]] int dots_across() const { return static_cast<int>(2 * width_); }
  [[nodiscard]] int dots_down() const { return static_cast<int>(4 * (cells_.size() / width_)); }

  void line(int x0, int y0, int x1, int y1) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= steps; ++i) dot(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps);
  }

  [[nodiscard]] std::string row(std::size_t row) const {
    std::string text;
    for (std::size_t i = 0; i < width_; ++i) {
      const auto code = static_cast<unsigned>(0x2800 + cells_[row * width_ + i]);
      text += static_cast<char>(0xE0U | (code >> 12U));
      text += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
      text += static_cast<char>(0x80U | (code & 0x3FU));
    }
    return text;
  }

 private:
  void dot(int x, int y) {
    // As Unicode numbers the dots: by columns, with the lowest row last.
    constexpr std::array<std::array<uint8_t, 2>, 4> kBits{{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}};
    if (x < 0 || y < 0 || x >= dots_across() || y >= dots_down()) return;
    cells_[static_cast<std::size_t>(y / 4) * width_ + static_cast<std::size_t>(x / 2)] |=
        kBits[static_cast<std::size_t>(y % 4)][static_cast<std::size_t>(x % 2)];
  }

  std::size_t width_;
  std::vector<uint8_t> cells_;
};

std::string padded(const std::string& text, std::size_t width) {
  const std::size_t own = display_width(text);
  return own < width ? std::string(width - own, ' ') + text : text;
}

}  // namespace

std::string sparkline(const std::vector<double>& values, std::size_t width) {
  constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::vector<double> finite;
  std::ranges::copy_if(values, std::back_inserter(finite), [](double value) { return std::isfinite(value); });
  if (finite.size() < 2 || width == 0) return {};
  const std::size_t count = std::min(width, finite.size());
  std::vector<double> means;
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = finite.begin() + static_cast<std::ptrdiff_t>(i * finite.size() / count);
    const auto end = finite.begin() + static_cast<std::ptrdiff_t>((i + 1) * finite.size() / count);
    means.push_back(std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin));
  }
  const auto [low, high] = std::ranges::minmax(means);
  std::string text;
  for (const double mean : means) {
    const double part = high > low ? (mean - low) / (high - low) : 0.5;
    text += kBlocks[static_cast<std::size_t>(std::lround(part * (kBlocks.size() - 1)))];
  }
  return text;
}

std::string terminal_plot(const std::vector<Point>& points, const Axis& x, const Axis& y, std::size_t width,
                          std::size_t height) {
  const std::vector<Point> curve = thinned(points, std::max<std::size_t>(4 * width, 2));
  if (curve.size() < 2) return {};
  Range values{curve.front().y, curve.front().y};
  for (const Point& point : curve) values = {std::min(values.low, point.y), std::max(values.high, point.y)};

  const std::vector<std::string> ends = tick_labels(std::vector<double>{values.low * y.factor, values.high * y.factor});
  const std::size_t margin = std::max(display_width(ends[0]), display_width(ends[1]));
  Canvas canvas(width > margin + 12 ? width - margin - 2 : 10, std::max<std::size_t>(height, 2));
  const Scale across({curve.front().x, curve.back().x}, x.logarithmic, 0, canvas.dots_across() - 1);
  const Scale down(values, y.logarithmic, canvas.dots_down() - 1, 0);
  const auto dot = [](double place) { return static_cast<int>(std::lround(place)); };
  for (std::size_t i = 1; i < curve.size(); ++i)
    canvas.line(dot(across(curve[i - 1].x)), dot(down(curve[i - 1].y)), dot(across(curve[i].x)), dot(down(curve[i].y)));

  const std::size_t lines = static_cast<std::size_t>(canvas.dots_down()) / 4;
  const std::size_t columns = static_cast<std::size_t>(canvas.dots_across()) / 2;
  std::string text;
  for (std::size_t i = 0; i < lines; ++i)
    text += padded(i == 0           ? ends[1]
                   : i + 1 == lines ? ends[0]
                                    : "",
                   margin) +
            (i == 0 || i + 1 == lines ? " ┤" : " │") + canvas.row(i) + "\n";
  std::string rule;
  for (std::size_t i = 0; i < columns; ++i) rule += "─";
  text += std::string(margin + 1, ' ') + "└" + rule + "\n";
  const std::vector<std::string> sides =
      tick_labels(std::vector<double>{curve.front().x * x.factor, curve.back().x * x.factor});
  const std::string last = x.label + " " + sides[1];
  const std::size_t used = display_width(sides[0]) + display_width(last);
  text += std::string(margin + 2, ' ') + sides[0] + std::string(columns > used ? columns - used : 1, ' ') + last + "\n";
  return text;
}

}  // namespace silc::plot
