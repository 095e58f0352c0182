#include "pictures/copies.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "pictures/processors.h"
#include "pictures/resample.h"

namespace silc {
namespace {

constexpr std::size_t kSide = Likeness::kSide;
constexpr std::size_t kCells = kSide * kSide;
constexpr int kBands = 6;
constexpr int kBandBits = 22;  // of 128 bits in six bands
static_assert(kMostBits / kBands == 1, "a band of near hashes differs in at most one bit");

// Less than a grey level is noise: on plain ground it must not tell two copies apart.
constexpr float kNoise = 1;
constexpr float kLeastRange = 16;       // grey levels between the darkest and the brightest cell
constexpr float kLeastStep = 2;         // between cells that differ
constexpr float kBusy = 0.5F;           // from here on brightness alone tells pictures apart
constexpr float kMostDeviation = 0.1F;  // of the range
constexpr float kColourTolerance = 4;   // grey levels that another encoding may change in a cell

// The picture on a grid of width × height cells: [3, height, width] grey levels.
std::vector<float> on_grid(const Image& image, int64_t width, int64_t height) {
  std::vector<float> levels(static_cast<std::size_t>(3 * width * height));
  const auto axis = [](int64_t length, int64_t cells) {
    return Axis{.begin = 0, .length = length, .size = cells, .first = 0, .count = cells};
  };
  resample(image, axis(image.width, width), axis(image.height, height), Interpolation::bilinear, false, levels.data());
  for (float& level : levels) level = (level + 1) * 127.5F;
  return levels;
}

// [height · width] grey levels, by the weights of ITU-R 601.
std::vector<float> brightness_of(const std::vector<float>& levels) {
  const std::size_t cells = levels.size() / 3;
  std::vector<float> brightness(cells);
  for (std::size_t i = 0; i < cells; ++i)
    brightness[i] = 0.299F * levels[i] + 0.587F * levels[cells + i] + 0.114F * levels[2 * cells + i];
  return brightness;
}

std::array<uint64_t, 2> difference_hash(const Image& image) {
  constexpr std::size_t kRises = 8;  // along a row, and along a column
  constexpr std::size_t kGrid = kRises + 1;
  const std::vector<float> cells = brightness_of(on_grid(image, kGrid, kGrid));
  std::array<uint64_t, 2> hash{};
  for (std::size_t y = 0; y < kRises; ++y)
    for (std::size_t x = 0; x < kRises; ++x) {
      const float* cell = cells.data() + y * kGrid + x;
      hash[0] = hash[0] << 1 | uint64_t{cell[1] - cell[0] > kNoise};
      hash[1] = hash[1] << 1 | uint64_t{cell[kGrid] - cell[0] > kNoise};
    }
  return hash;
}

int bits_apart(const std::array<uint64_t, 2>& one, const std::array<uint64_t, 2>& other) {
  return std::popcount(one[0] ^ other[0]) + std::popcount(one[1] ^ other[1]);
}

float busy_part(const std::vector<float>& brightness) {
  int busy = 0;
  for (std::size_t y = 0; y < kSide; ++y)
    for (std::size_t x = 0; x < kSide; ++x) {
      const float* cell = brightness.data() + y * kSide + x;
      if (x + 1 < kSide) busy += std::abs(cell[1] - cell[0]) > kLeastStep ? 1 : 0;
      if (y + 1 < kSide) busy += std::abs(cell[kSide] - cell[0]) > kLeastStep ? 1 : 0;
    }
  return static_cast<float>(busy) / static_cast<float>(2 * kSide * (kSide - 1));
}

// The greatest deviation of a cell of `other` from a · one + b, the best fit with a > 0, as a part of the range of the
// fit; infinity where there is none.
float deviation(const Likeness& one, const Likeness& other) {
  int64_t sum = 0, sum_other = 0, squares = 0, products = 0;
  int least = 255, most = 0;
  for (std::size_t i = 0; i < kCells; ++i) {
    const int64_t x = one.brightness[i];
    const int64_t y = other.brightness[i];
    sum += x;
    sum_other += y;
    squares += x * x;
    products += x * y;
    least = std::min<int>(least, one.brightness[i]);
    most = std::max<int>(most, one.brightness[i]);
  }
  constexpr auto kCount = static_cast<int64_t>(kCells);
  const int64_t variance = kCount * squares - sum * sum;
  const int64_t covariance = kCount * products - sum * sum_other;
  if (variance <= 0 || covariance <= 0) return std::numeric_limits<float>::infinity();
  const float slope = static_cast<float>(covariance) / static_cast<float>(variance);
  const float shift = (static_cast<float>(sum_other) - slope * static_cast<float>(sum)) / static_cast<float>(kCells);
  float greatest = 0;
  for (std::size_t i = 0; i < kCells; ++i)
    greatest = std::max(greatest, std::abs(static_cast<float>(other.brightness[i]) -
                                           (slope * static_cast<float>(one.brightness[i]) + shift)));
  return greatest / (slope * static_cast<float>(most - least));
}

bool have_the_same_colours(const Likeness& one, const Likeness& other) {
  const auto [darkest, brightest] = std::minmax_element(one.brightness.begin(), one.brightness.end());
  const float tolerance = std::max(kColourTolerance, kMostDeviation * static_cast<float>(*brightest - *darkest));
  return std::equal(one.colours.begin(), one.colours.end(), other.colours.begin(), [&](uint8_t a, uint8_t b) {
    return std::abs(static_cast<float>(a) - static_cast<float>(b)) <= tolerance;
  });
}

// Sets of pictures that grow together.
class Groups {
 public:
  explicit Groups(std::size_t count) : parents_(count) { std::iota(parents_.begin(), parents_.end(), 0); }

  uint32_t first_of(uint32_t member) {
    while (parents_[member] != member) member = parents_[member] = parents_[parents_[member]];
    return member;
  }
  void join(uint32_t one, uint32_t other) {
    one = first_of(one);
    other = first_of(other);
    parents_[std::max(one, other)] = std::min(one, other);
  }

 private:
  std::vector<uint32_t> parents_;  // a group's first is its own
};

// Every sixth bit, from bit `band` on: bits from all over the picture, so that pictures of plain ground, where no bit
// is set, share few bands.
uint32_t band_of(const std::array<uint64_t, 2>& hash, int band) {
  uint32_t value = 0;
  for (int bit = band; bit < 128; bit += kBands)
    value = value << 1 | static_cast<uint32_t>(hash[static_cast<std::size_t>(bit / 64)] >> bit % 64 & 1);
  return value;
}

struct Hashed {
  std::array<uint64_t, 2> hash;
  uint32_t number;  // of the picture
};

// Pictures by the value of one band of their hashes; in each bucket in the order of their numbers.
class Buckets {
 public:
  Buckets(const std::vector<Hashed>& pictures, int band)
      : begins_((std::size_t{1} << kBandBits) + 1), pictures_(pictures.size()) {
    std::vector<uint32_t> values;
    for (const Hashed& picture : pictures) ++begins_[values.emplace_back(band_of(picture.hash, band)) + 1];
    std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
    std::vector<uint32_t> next(begins_.begin(), begins_.end() - 1);
    for (std::size_t i = 0; i < pictures.size(); ++i) pictures_[next[values[i]]++] = pictures[i];
  }

  [[nodiscard]] std::span<const Hashed> of(uint32_t value) const {
    return std::span(pictures_).subspan(begins_[value], begins_[value + 1] - begins_[value]);
  }

 private:
  std::vector<uint32_t> begins_;  // of each value's pictures
  std::vector<Hashed> pictures_;
};

// Numbers of the pictures among `others` that come after `one` and whose hashes are near.
SILC_COUNTING_BITS
void find_near(const Hashed& one, const Hashed* others, std::size_t count, std::vector<uint32_t>& near) {
  for (std::size_t i = 0; i < count; ++i) {
    const int bits = std::popcount(one.hash[0] ^ others[i].hash[0]) + std::popcount(one.hash[1] ^ others[i].hash[1]);
    if (bits <= kMostBits && others[i].number > one.number) near.push_back(others[i].number);
  }
}

}  // namespace

Likeness likeness_of(const Image& image) {
  const std::vector<float> brightness = brightness_of(on_grid(image, kSide, kSide));
  const auto [darkest, brightest] = std::minmax_element(brightness.begin(), brightness.end());
  Likeness likeness;
  likeness.hash = difference_hash(image);
  likeness.plain = *brightest - *darkest < kLeastRange;
  likeness.busy = busy_part(brightness);
  const auto whole = [](float value) { return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0F, 255.0F))); };
  std::transform(brightness.begin(), brightness.end(), likeness.brightness.begin(), whole);
  const std::vector<float> colours = on_grid(image, Likeness::kColourSide, Likeness::kColourSide);
  std::transform(colours.begin(), colours.end(), likeness.colours.begin(), whole);
  return likeness;
}

bool are_copies(const Likeness& one, const Likeness& other) {
  if (one.plain || other.plain || bits_apart(one.hash, other.hash) > kMostBits) return false;
  if (std::min(one.busy, other.busy) < kBusy && !have_the_same_colours(one, other)) return false;
  return deviation(one, other) <= kMostDeviation && deviation(other, one) <= kMostDeviation;
}

std::vector<std::vector<int64_t>> find_copies(std::span<const Likeness> pictures) {
  std::vector<Hashed> hashed;
  for (std::size_t i = 0; i < pictures.size(); ++i)
    if (!pictures[i].plain) hashed.push_back({pictures[i].hash, static_cast<uint32_t>(i)});
  Groups groups(pictures.size());
  std::vector<uint32_t> near;
  for (int band = 0; band < kBands; ++band) {
    const Buckets buckets(hashed, band);
    const auto look_in = [&](const Hashed& picture, uint32_t value) {
      const std::span<const Hashed> bucket = buckets.of(value);
      find_near(picture, bucket.data(), bucket.size(), near);
    };
    for (const Hashed& picture : hashed) {
      const uint32_t value = band_of(picture.hash, band);
      near.clear();
      look_in(picture, value);
      for (int bit = 0; bit < kBandBits; ++bit) look_in(picture, value ^ 1U << bit);
      for (const uint32_t other : near)
        if (groups.first_of(picture.number) != groups.first_of(other) &&
            are_copies(pictures[picture.number], pictures[other]))
          groups.join(picture.number, other);
    }
  }
  std::vector<std::vector<int64_t>> members(pictures.size());
  for (const Hashed& picture : hashed) members[groups.first_of(picture.number)].push_back(picture.number);
  std::erase_if(members, [](const auto& group) { return group.size() < 2; });
  return members;
}

}  // namespace silc
