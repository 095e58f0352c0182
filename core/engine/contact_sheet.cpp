#include "engine/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "pictures/draw.h"

namespace silc {
namespace {

constexpr int64_t kPictureSide = 232;
constexpr int64_t kMargin = 6;
constexpr int64_t kLines = 3;  // of captions
constexpr Colour kPaper = {250, 250, 248};
constexpr Colour kInk = {20, 20, 20};
constexpr Colour kHead = {120, 60, 0};

// The classes of the mask over a paler picture.
void overlay_mask(const Sample& sample, Image& picture) {
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x) {
      const int64_t row = (2 * y + 1) * sample.image.height / (2 * picture.height);
      const int64_t column = (2 * x + 1) * sample.image.width / (2 * picture.width);
      const uint8_t label = sample.mask[static_cast<std::size_t>(row * sample.image.width + column)];
      uint8_t* pixel = picture.rgb.data() + (y * picture.width + x) * 3;
      if (label == kIgnoreLabel) continue;
      const Colour colour = colour_of_class(label);
      for (std::size_t c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>((pixel[c] + colour[c]) / 2);
    }
}

void draw_boxes(const Sample& sample, const std::vector<std::string>& classes, Image& picture) {
  const double scale = static_cast<double>(picture.width) / static_cast<double>(sample.image.width);
  const auto at = [&](float value) { return static_cast<int64_t>(std::lround(static_cast<double>(value) * scale)); };
  for (const Box& box : sample.boxes) {
    const Colour colour = colour_of_class(box.label);
    draw_frame(at(box.x0), at(box.y0), at(box.x1), at(box.y1), colour, picture);
    if (box.label < 0 || box.label >= static_cast<int64_t>(classes.size())) continue;
    const std::string& name = classes[static_cast<std::size_t>(box.label)];
    paste(blank_picture(static_cast<int64_t>(name.size()) * kTextWidth, kTextHeight, kPaper), at(box.x0), at(box.y0),
          picture);
    draw_text(name, at(box.x0), at(box.y0), kInk, picture);
  }
}

// Lines of at most `width` letters, broken between words where that is possible; the last ends in "..." if more
// follows.
std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t lines) {
  std::vector<std::string> result;
  std::string rest = text;
  std::replace(rest.begin(), rest.end(), '\n', ' ');
  while (!rest.empty() && result.size() < lines) {
    std::size_t end = std::min(width, rest.size());
    if (end < rest.size())
      if (const std::size_t space = rest.rfind(' ', end); space != std::string::npos && space > width / 2) end = space;
    while (end < rest.size() && end > 0 && (static_cast<uint8_t>(rest[end]) & 0xC0) == 0x80) --end;
    result.push_back(rest.substr(0, end));
    rest.erase(0,
               rest.find_first_not_of(' ', end) == std::string::npos ? rest.size() : rest.find_first_not_of(' ', end));
  }
  if (!rest.empty() && !result.empty()) {
    std::string& last = result.back();
    if (last.size() + 3 > width) last.resize(width - 3);
    last += "...";
  }
  return result;
}

void draw_sample(const Sample& sample, const std::vector<std::string>& classes, int64_t x, int64_t y, bool with_mask,
                 Image& sheet) {
  const double scale =
      static_cast<double>(kPictureSide) / static_cast<double>(std::max(sample.image.width, sample.image.height));
  const auto side = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(length) * scale));
  };
  Image picture = resized(sample.image, side(sample.image.width), side(sample.image.height));
  if (with_mask && !sample.mask.empty()) overlay_mask(sample, picture);
  if (with_mask) draw_boxes(sample, classes, picture);
  paste(picture, x + (kPictureSide - picture.width) / 2, y + (kPictureSide - picture.height) / 2, sheet);
}

void draw_words(const Sample& sample, int64_t index, const std::vector<std::string>& classes, int64_t x, int64_t y,
                int64_t width, Image& sheet) {
  std::string head = std::to_string(index);
  if (sample.label >= 0 && sample.label < static_cast<int64_t>(classes.size()))
    head += ": " + classes[static_cast<std::size_t>(sample.label)];
  if (sample.captions.size() > 1) head += fmt::format(" ({} captions)", sample.captions.size());
  draw_text(head, x, y, kHead, sheet);
  for (const std::string& line : wrapped(sample.captions.front(), static_cast<std::size_t>(width / kTextWidth), kLines))
    draw_text(line, x, y += kTextHeight, kInk, sheet);
}

constexpr Colour kFrames[] = {{220, 40, 40}, {30, 110, 220}, {20, 150, 60}, {190, 90, 0}, {140, 50, 180}};

Colour frame_of(int64_t view) { return kFrames[static_cast<std::size_t>(view) % std::size(kFrames)]; }

// Its pixels as squares, so that one sees what there is to see for the model.
Image magnified(const Image& image, int64_t side) {
  Image result = blank_picture(side, side, kPaper);
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      std::copy_n(image.rgb.data() + (y * image.height / side * image.width + x * image.width / side) * 3, 3,
                  result.rgb.data() + (y * side + x) * 3);
  return result;
}

// How the crops of a view are laid out: in columns of a line's height.
struct ViewPlace {
  int64_t x = 0;     // of the first column
  int64_t side = 0;  // of a crop on the sheet
  int64_t rows = 1;  // crops in a column
  int64_t count = 0;

  [[nodiscard]] int64_t columns() const { return (count + rows - 1) / rows; }
  [[nodiscard]] int64_t width() const { return columns() * (side + kMargin); }
};

std::vector<ViewPlace> view_places(std::size_t views, const ShownViews& example) {
  std::vector<ViewPlace> places(views);
  int64_t largest = 1;
  for (const ShownViews::Crop& crop : example.crops) largest = std::max(largest, crop.pixels.width);
  for (const ShownViews::Crop& crop : example.crops) {
    ViewPlace& place = places[static_cast<std::size_t>(crop.where.label)];
    ++place.count;
    place.side = std::max<int64_t>(24, kPictureSide * crop.pixels.width / largest);
    place.rows = std::max<int64_t>(1, kPictureSide / place.side);
    place.side = std::min(place.side, (kPictureSide - (place.rows - 1) * kMargin) / place.rows);
  }
  int64_t x = kMargin + kPictureSide + 2 * kMargin;
  for (ViewPlace& place : places) {
    place.x = x;
    x += place.width() + kMargin;
  }
  return places;
}

void draw_views(const ShownViews& views, const std::vector<ViewPlace>& places, int64_t y, int64_t evaluated_x,
                Image& sheet) {
  const Image& whole = views.shown.sample.image;
  const double scale = static_cast<double>(kPictureSide) / static_cast<double>(std::max(whole.width, whole.height));
  const auto at = [&](double value) { return static_cast<int64_t>(std::lround(value * scale)); };
  Image picture = resized(whole, std::max<int64_t>(1, at(static_cast<double>(whole.width))),
                          std::max<int64_t>(1, at(static_cast<double>(whole.height))));
  std::vector<int64_t> drawn(places.size());
  for (const ShownViews::Crop& crop : views.crops) {
    const Box& box = crop.where;
    const Colour colour = frame_of(box.label);
    draw_frame(at(box.x0), at(box.y0), at(box.x1), at(box.y1), colour, picture);
    const ViewPlace& place = places[static_cast<std::size_t>(box.label)];
    const int64_t number = drawn[static_cast<std::size_t>(box.label)]++;
    const int64_t x = place.x + number / place.rows * (place.side + kMargin);
    const int64_t top = y + number % place.rows * (place.side + kMargin);
    paste(magnified(crop.pixels, place.side), x, top, sheet);
    draw_frame(x - 2, top - 2, x + place.side + 2, top + place.side + 2, colour, sheet);
  }
  paste(picture, kMargin, y, sheet);
  paste(magnified(views.evaluated, kPictureSide), evaluated_x, y, sheet);
}

}  // namespace

Image draw_contact_sheet(const std::string& title, const std::vector<ShownSample>& samples,
                         const std::vector<std::string>& classes) {
  const bool marked = std::any_of(samples.begin(), samples.end(), [](const ShownSample& shown) {
    return !shown.sample.mask.empty() || !shown.sample.boxes.empty();
  });
  const auto count = static_cast<int64_t>(samples.size());
  const int64_t columns = std::min<int64_t>(marked ? 3 : 6, count);
  const int64_t width = marked ? 2 * kPictureSide + kMargin : kPictureSide;
  const int64_t height = kPictureSide + (kLines + 1) * kTextHeight + kMargin;
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t head = title.empty() ? 0 : kTextHeight + kMargin;
  Image sheet =
      blank_picture(columns * (width + 2 * kMargin) + kMargin, head + rows * (height + 2 * kMargin) + kMargin, kPaper);
  draw_text(title, kMargin, kMargin, kInk, sheet);
  for (int64_t k = 0; k < count; ++k) {
    const auto& [index, sample] = samples[static_cast<std::size_t>(k)];
    const int64_t x = kMargin + k % columns * (width + 2 * kMargin);
    const int64_t y = head + kMargin + k / columns * (height + 2 * kMargin);
    draw_sample(sample, classes, x, y, false, sheet);
    if (marked) draw_sample(sample, classes, x + kPictureSide + kMargin, y, true, sheet);
    draw_words(sample, index, classes, x, y + kPictureSide + kMargin, width, sheet);
  }
  return sheet;
}

Image draw_view_sheet(const std::string& title, const std::vector<std::string>& views, const std::string& evaluation,
                      const std::vector<ShownViews>& samples) {
  const std::vector<ViewPlace> places = view_places(views.size(), samples.front());
  const int64_t evaluated_x =
      (places.empty() ? kMargin + kPictureSide + kMargin : places.back().x + places.back().width()) + kMargin;
  const int64_t width = evaluated_x + kPictureSide + kMargin;
  constexpr int64_t kHeadHeight = 6 * kTextHeight;
  constexpr int64_t kLineHeight = kPictureSide + 2 * kTextHeight + 3 * kMargin;
  Image sheet = blank_picture(width, kHeadHeight + static_cast<int64_t>(samples.size()) * kLineHeight, kPaper);
  const auto words = [&](const std::string& text, int64_t x, int64_t y, int64_t room, Colour colour,
                         std::size_t lines) {
    for (const std::string& line :
         wrapped(text, static_cast<std::size_t>(std::max<int64_t>(8, room / kTextWidth)), lines))
      draw_text(line, x, std::exchange(y, y + kTextHeight), colour, sheet);
  };
  words(title, kMargin, kMargin, width - 2 * kMargin, kInk, 2);
  constexpr int64_t kNames = kMargin + 5 * kTextHeight / 2;
  words("from the file", kMargin, kNames, kPictureSide, kHead, 2);
  for (std::size_t v = 0; v < views.size(); ++v)
    words(views[v], places[v].x, kNames, places[v].width(), frame_of(static_cast<int64_t>(v)), 3);
  words(evaluation, evaluated_x, kNames, kPictureSide, kHead, 3);
  for (std::size_t k = 0; k < samples.size(); ++k) {
    const int64_t y = kHeadHeight + static_cast<int64_t>(k) * kLineHeight;
    draw_views(samples[k], places, y, evaluated_x, sheet);
    words(fmt::format("{}: {}", samples[k].shown.index, samples[k].caption), kMargin, y + kPictureSide + kMargin,
          width - 2 * kMargin, kInk, 2);
  }
  return sheet;
}

Image one_below_the_other(const std::vector<Image>& sheets) {
  int64_t width = 0, height = 0;
  for (const Image& sheet : sheets) {
    width = std::max(width, sheet.width);
    height += sheet.height;
  }
  Image whole = blank_picture(width, height, kPaper);
  int64_t y = 0;
  for (const Image& sheet : sheets) paste(sheet, 0, std::exchange(y, y + sheet.height), whole);
  return whole;
}

}  // namespace silc
