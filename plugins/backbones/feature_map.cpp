#include "feature_map.h"

#include <fmt/format.h>

#include <charconv>

namespace silc {

std::vector<int64_t> parse_stages(const std::string& text, const char* backbone, const char* option) {
  constexpr std::size_t kMostStages = 8;
  constexpr int64_t kMost = 16384;
  std::vector<int64_t> stages;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    while (at != end && *at == ' ') ++at;
    int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    const bool fits = error == std::errc() && value >= 1 && value <= kMost && stages.size() < kMostStages;
    if (!fits || (next != end && *next != ','))
      throw Error(
          fmt::format("backbone \"{}\": {} is \"{}\"; write 1 to {} whole numbers from 1 to {} with commas "
                      "between them, one for each stage, as in \"3,4,6,3\"",
                      backbone, option, text, kMostStages, kMost));
    stages.push_back(value);
    if (next == end) return stages;
    at = next + 1;
  }
}

void check_image_size(int64_t image_size, int64_t stride, const char* backbone) {
  if (image_size % stride != 0 || image_size == 0)
    throw Error(
        fmt::format("backbone \"{0}\": its last feature map has a cell for every {1} pixels, and image_size {2} is "
                    "no multiple of {1}; change image_size, or the number of stages",
                    backbone, stride, image_size));
}

void check_view_size(const at::Tensor& images, int64_t stride, const char* backbone) {
  if (images.size(2) < stride || images.size(3) < stride)
    throw Error(
        fmt::format("backbone \"{}\": a view of {} x {} pixels is smaller than the {} pixels of one cell of the "
                    "last feature map; choose larger views in the objective, or fewer stages",
                    backbone, images.size(2), images.size(3), stride));
}

at::Tensor patch_tokens(const at::Tensor& map) { return map.flatten(2).transpose(1, 2); }

}  // namespace silc
