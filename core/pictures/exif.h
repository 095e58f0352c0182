// EXIF: of all that a camera writes, the one thing that changes what a picture shows.
#pragma once

#include <cstdint>
#include <span>

#include "silc/export.h"

namespace silc {

// The orientation, 1 to 8, in `tiff`: an EXIF block from its TIFF header on, as PNG and WebP have it. 1 where there is
// none, or the block is damaged: viewers show such pictures as they are stored.
SILC_EXPORT int exif_orientation(std::span<const uint8_t> tiff);

}  // namespace silc
