// The views of DINO: global crops and several local ones, each with colours of its own.
#pragma once

#include <tuple>
#include <vector>

#include "silc/objective.h"

namespace silc {

struct LocalCrops {
  int64_t views = 8;        // of each picture
  int64_t fewest = 0;       // that can be chosen
  Pair area = {0.05, 0.4};  // part of the picture's area
};

// The options of the small crops from which a student learns to see the whole.
struct SILC_EXPORT LocalCropOptions {
  Option<int64_t> views;
  Option<Pair> area;
  Option<int64_t> size;

  consteval explicit LocalCropOptions(const LocalCrops& standard)
      : views(integer_option("local_views", standard.views, standard.fewest, 64, "local crops of a picture")),
        area(pair_option("local_area", standard.area[0], standard.area[1], 0.01, 1.0,
                         "part of the picture's area that they show")),
        size(integer_option("local_size", 0, 0, 8192,
                            "side of local crops in pixels; 0: image_size * 96/224, rounded to a multiple of 16")) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(views, area, size); }

  // The view "local", neither mirrored nor coloured. Size 0 stands for image_size · 96/224 as in DINO, but 16 at least.
  [[nodiscard]] ViewSpec view(const Options& options, int64_t image_size) const;
};

struct MultiCrop {
  Pair global_area = {0.4, 1.0};
  LocalCrops local = {};
};

// The options of all crops of DINO, iBOT and DINOv2.
struct SILC_EXPORT MultiCropOptions {
  Option<Pair> global_area;
  LocalCropOptions local;
  Option<bool> colours;

  consteval explicit MultiCropOptions(const MultiCrop& standard = {})
      : global_area(pair_option("global_area", standard.global_area[0], standard.global_area[1], 0.01, 1.0,
                                "part of the picture's area that each of the two global crops shows")),
        local(standard.local),
        colours(
            boolean_option("colours", true, "colour jitter, greyscale, blur and solarization of crops, as in DINO")) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(global_area, local, colours); }

  // "global_1" and "global_2", one crop each, and "local" where there are any. Colours as in DataAugmentationDINO of
  // DINO, iBOT and DINOv2: jitter 0.8, greyscale 0.2, blur 1, 0.1 and 0.5, and solarize 0.2 in the second global crop
  // only; all crops are mirrored half of the time.
  [[nodiscard]] std::vector<ViewSpec> specs(const Options& options, int64_t image_size) const;
};

// Colours of DINO's local crops: jitter 0.8, greyscale 0.2, blur 0.5.
SILC_EXPORT Photometric local_crop_colours();

// Both global crops, [2·B, 3, S, S].
SILC_EXPORT at::Tensor global_crops(const Batch& batch);

}  // namespace silc
