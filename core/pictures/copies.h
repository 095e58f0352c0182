// Finding pictures that are there more than once: at another size or aspect ratio, compressed again, or with other
// brightness, contrast or colours. Not cut, turned or mirrored ones. No LibTorch.
//
// Search and decision are apart. Candidates are pictures whose difference hashes (dHash, N. Krawetz 2013, along rows
// and along columns: 64 bits each, which say whether brightness rises from one cell of a coarse grid to the next)
// differ in at most kMostBits bits; all of them are found. Two candidates are copies if, brightness and contrast
// matched, no cell of a finer grid is off by more than a tenth of the picture's range. docs/data.md has what that
// finds, and how often it is wrong.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "silc/dataset.h"
#include "silc/export.h"

namespace silc {

// What copies of a picture have in common.
struct Likeness {
  static constexpr std::size_t kSide = 16;
  static constexpr std::size_t kColourSide = 8;

  std::array<uint64_t, 2> hash{};                                // along rows, along columns
  std::array<uint8_t, kSide * kSide> brightness{};               // [16, 16]
  std::array<uint8_t, 3 * kColourSide * kColourSide> colours{};  // [3, 8, 8]
  float busy = 0;     // part of neighbouring cells whose brightness differs, in [0, 1]
  bool plain = true;  // hardly more than one colour: such pictures are no one's copies
};

inline constexpr int kMostBits = 11;

// Of a picture with pixels.
SILC_EXPORT Likeness likeness_of(const Image& image);

// Where there is little to see, as in a drawing of one shape, all colours must be the same, too.
SILC_EXPORT bool are_copies(const Likeness& one, const Likeness& other);

// Indices of pictures that are copies of each other, or of a third, ascending; groups of two and more, in the order of
// their first. Exact: as if each picture were compared with each, in a small part of the time (multi-index hashing,
// Norouzi 2012: of six parts of two hashes that differ in eleven bits, one differs in at most one).
SILC_EXPORT std::vector<std::vector<int64_t>> find_copies(std::span<const Likeness> pictures);

}  // namespace silc
