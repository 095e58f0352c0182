// Dataset plugins: pictures with captions, labels, masks and boxes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "silc/error.h"
#include "silc/plugin.h"

namespace silc {

// A picture, as pixels or as the file that shows it. Datasets of files make the latter with encoded_image()
// (pictures/decode.h), which reads the header alone: whoever needs pixels decodes the part that it needs.
struct Image {
  int64_t width = 0;  // as one looks at it, turned as the file's EXIF orientation says
  int64_t height = 0;
  std::vector<uint8_t> rgb;           // [height, width, 3]; empty: to be decoded
  std::vector<uint8_t> encoded = {};  // a JPEG, PNG or WebP; empty: there are pixels
  std::string source = {};            // for messages: the file's path, or its shard and key
};

struct Box {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // pixels; x1 and y1 lie outside the object
  int64_t label = 0;                     // index into Dataset::classes()
};

inline constexpr int64_t kNoLabel = -1;
inline constexpr uint8_t kIgnoreLabel = 255;

struct Sample {
  Image image;
  std::vector<std::string> captions;  // at least one
  int64_t label = kNoLabel;           // of the whole picture, index into Dataset::classes()
  std::vector<uint8_t> mask;          // [height, width] class of each pixel, kIgnoreLabel where it has none;
                                      // empty: the dataset has no masks
  std::vector<Box> boxes;
};

struct DatasetContext {
  const Options& options;
  std::string split;      // "train", "validation" or "test"; a plugin may know more
  std::string directory;  // $SILC_DATA or empty: where relative paths start
};

// A split of a dataset. A sample is a pure function of (options, split, index): the same on every
// call, thread and machine. All functions are called from several threads at once.
// A file that cannot be read throws silc::Error naming it: the constructor where nothing can be read at all, sample()
// where one picture cannot, which on_error = "skip" passes over.
class SILC_EXPORT Dataset {
 public:
  virtual ~Dataset() = default;

  [[nodiscard]] virtual int64_t size() const = 0;

  // 0 ≤ index < size().
  [[nodiscard]] virtual Sample sample(int64_t index) const = 0;

  // The captions of sample(index), for those who need only them. Override where that is cheaper.
  [[nodiscard]] virtual std::vector<std::string> captions(int64_t index) const { return sample(index).captions; }

  // Names of the classes that labels, masks and boxes refer to; empty: none of these.
  [[nodiscard]] virtual std::vector<std::string> classes() const { return {}; }

  // Prompts for zero-shot evaluation, "{}" standing for the class name.
  [[nodiscard]] virtual std::vector<std::string> prompt_templates() const { return {"a photo of a {}"}; }

  // The first samples of files that hold many each and are read fastest one after the other, beginning with 0: training
  // then shuffles the files, and samples within windows of some ten thousand. Empty: any order is as fast.
  [[nodiscard]] virtual std::vector<int64_t> shard_starts() const { return {}; }

  // Changes whenever any sample may have changed, as when a file's content has: part of a cell's
  // identity. Need not include the options or the split.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
};

}  // namespace silc

// SILC_DATASET(identifier, Class, version, "one line", options...)
#define SILC_DATASET(id, Class, version, ...) \
  SILC_PLUGIN(dataset, ::silc::Dataset, ::silc::DatasetContext, id, Class, version, __VA_ARGS__)
