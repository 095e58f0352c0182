// Areas of a picture as COCO writes them: polygons and run lengths.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace silc::datasets {

// Lengths of runs of pixels outside and inside, in turn, beginning outside; column by column from the left, each from
// the top down. They add up to width · height.
using RunLengths = std::vector<uint32_t>;

// The text form of pycocotools' compressed run lengths. Throws silc::Error beginning with `where` for a text that is
// none.
RunLengths read_run_lengths(std::string_view text, std::string_view where);

// Pixels inside a polygon x0, y0, x1, y1, …, to the pixel as pycocotools (rleFrPoly) has it.
RunLengths polygon_run_lengths(std::span<const double> polygon, int64_t width, int64_t height);

// Sets the pixels inside to `value` in `mask`, [height, width]. Throws silc::Error beginning with `where` where the
// runs do not add up to its size.
void paint(const RunLengths& runs, uint8_t value, int64_t width, int64_t height, std::vector<uint8_t>& mask,
           std::string_view where);

}  // namespace silc::datasets
