// Pictures with words, side by side in one picture, for people to look at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "silc/dataset.h"

namespace silc {

// A sample with its pixels, and where it stands in its dataset.
struct ShownSample {
  int64_t index = 0;
  Sample sample;
};

// Below the title, if there is one, each picture with its first caption; where one has a mask or boxes, each once more
// under these.
Image draw_contact_sheet(const std::string& title, const std::vector<ShownSample>& samples,
                         const std::vector<std::string>& classes);

// What training makes of one sample.
struct ShownViews {
  struct Crop {
    Box where;     // in the sample's picture; label: number of the view
    Image pixels;  // square
  };
  ShownSample shown;
  std::string caption;  // the one that is drawn
  std::vector<Crop> crops;
  Image evaluated;  // as an evaluation sees it
};

// A line of the sheet for each sample: the picture with frames where crops are cut, the crops view by view, and what an
// evaluation sees. `views`: what to call each view; `evaluation`: the last column.
Image draw_view_sheet(const std::string& title, const std::vector<std::string>& views, const std::string& evaluation,
                      const std::vector<ShownViews>& samples);

Image one_below_the_other(const std::vector<Image>& sheets);

}  // namespace silc
