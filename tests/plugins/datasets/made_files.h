// Small files in a temporary folder, as people's data have them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spng.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "idx_folder.h"
#include "silc/dataset.h"
#include "silc/error.h"
#include "silc/testing/options.h"
#include "tests/pictures/fixture.h"

namespace silc::testing {

inline constexpr int64_t kPhotoWidth = 75;  // of the stored photograph
inline constexpr int64_t kPhotoHeight = 51;

// A PNG of `values`, [height, width, channels], as libspng's `colours` have them.
inline std::string png_of(int64_t width, int64_t height, spng_color_type colours, const std::vector<uint8_t>& values) {
  const std::unique_ptr<spng_ctx, void (*)(spng_ctx*)> png(spng_ctx_new(SPNG_CTX_ENCODER), spng_ctx_free);
  spng_ihdr header{};
  header.width = static_cast<uint32_t>(width);
  header.height = static_cast<uint32_t>(height);
  header.bit_depth = 8;
  header.color_type = colours;
  spng_set_option(png.get(), SPNG_ENCODE_TO_BUFFER, 1);
  spng_set_ihdr(png.get(), &header);
  spng_encode_image(png.get(), values.data(), values.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  std::size_t size = 0;
  int fault = 0;
  void* bytes = spng_get_png_buffer(png.get(), &size, &fault);
  std::string file(static_cast<const char*>(bytes), size);
  std::free(bytes);
  return file;
}

// A PNG of one channel with a value for each pixel.
inline std::string label_map(int64_t width, int64_t height, const std::function<uint8_t(int64_t x, int64_t y)>& value) {
  std::vector<uint8_t> values;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) values.push_back(value(x, y));
  return png_of(width, height, SPNG_COLOR_TYPE_GRAYSCALE, values);
}

// A folder to which files are added by their path in it.
class MadeFolder : public TemporaryFolder {
 public:
  std::string operator/(const std::string& name) const { return (path() / name).string(); }

  void add(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path() / name).parent_path());
    write_all(path() / name, content);
  }
  // The photograph as it is stored under `kind`: "jpeg_420", "png_alpha", …
  void add_photo(const std::string& name, const std::string& kind = "jpeg_420") const {
    const std::vector<uint8_t> bytes = stored_bytes(kind + ".file");
    add(name, std::string(bytes.begin(), bytes.end()));
  }
};

// What `work` refuses.
inline std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A dataset opened by its factory, with the options that it is made with.
class OpenDataset {
 public:
  using Factory = Dataset* (*)(const DatasetContext& context);

  OpenDataset(Factory factory, const std::string& name, const std::string& split,
              const std::map<std::string, OptionValue>& changes)
      : options_(options_of(name, changes)),
        dataset_(factory({.options = options_, .split = split, .directory = ""})) {}

  const Dataset* operator->() const { return dataset_.get(); }

 private:
  Options options_;
  std::unique_ptr<Dataset> dataset_;
};

}  // namespace silc::testing
