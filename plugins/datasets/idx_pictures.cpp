// MNIST and its kin: FOLDER/train-images-idx3-ubyte.gz and the three files that belong to it.
#include <fmt/format.h>

#include <algorithm>

#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/files.h"
#include "plugins/datasets/idx.h"
#include "silc/dataset.h"

namespace silc::datasets::idx {
namespace {

constexpr auto kFolder = required_folder_option(
    "folder", "holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the same of t10k");
constexpr auto kClassNames = file_option(
    "class_names", "a line for each class, in the order of their labels; empty: they are called 0, 1, 2, …");
constexpr auto kHeldBack =
    integer_option("validation", 5000, 0, 1000000,
                   "pictures at the end of the training files that are the split validation, and not train");

constexpr std::string_view kRemedy = "Name the folder with the four files of MNIST, EMNIST, KMNIST or Fashion-MNIST.";

class IdxPictures : public Dataset {
 public:
  explicit IdxPictures(const DatasetContext& context)
      : folder_(context.options[kFolder]),
        prefix_(prefix_of(context.split)),
        images_(read_idx(file("images-idx3"), 3, kRemedy)),
        labels_(read_idx(file("labels-idx1"), 1, kRemedy)),
        captions_(context.options[kClassCaptions]) {
    if (images_.shape[0] != labels_.shape[0])
      throw Error(fmt::format("{}: holds {} pictures, and {} holds {} labels", file("images-idx3").string(),
                              images_.shape[0], file("labels-idx1").string(), labels_.shape[0]));
    const uint8_t greatest = *std::max_element(labels_.values.begin(), labels_.values.end());
    if (context.options[kClassNames].empty())
      for (int label = 0; label <= std::max<int>(greatest, 9); ++label) names_.push_back(std::to_string(label));
    else
      names_ = read_list(context.options[kClassNames]);
    if (greatest >= names_.size())
      throw Error(fmt::format("{}: holds the label {}, and there are {} classes", file("labels-idx1").string(),
                              greatest, names_.size()));
    range_ = range_of_split(context.split, images_.shape[0], context.options[kHeldBack], folder_);
  }

  [[nodiscard]] int64_t size() const override { return range_.count; }

  [[nodiscard]] Sample sample(int64_t index) const override {
    Sample sample;
    sample.label = label(index);
    sample.captions = captions(index);
    sample.image = {.width = images_.shape[2], .height = images_.shape[1], .rgb = {}};
    const auto pixels = static_cast<std::size_t>(sample.image.width * sample.image.height);
    const uint8_t* grey = images_.values.data() + static_cast<std::size_t>(range_.first + index) * pixels;
    for (std::size_t i = 0; i < pixels; ++i) sample.image.rgb.insert(sample.image.rgb.end(), 3, grey[i]);
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    return captions_naming(captions_, names_[static_cast<std::size_t>(label(index))]);
  }

  [[nodiscard]] std::vector<std::string> classes() const override { return names_; }

  [[nodiscard]] std::string fingerprint() const override {
    return Fingerprint().add_content(file("images-idx3")).add_content(file("labels-idx1")).text();
  }

 private:
  static std::string prefix_of(const std::string& split) {
    if (split == "train" || split == "validation") return "train";
    if (split == "test") return "t10k";
    throw Error(fmt::format("dataset \"idx\" has no split \"{}\"; it has train, validation and test", split));
  }

  // As it was loaded, or unpacked since.
  [[nodiscard]] std::filesystem::path file(std::string_view content) const {
    const std::filesystem::path plain = folder_ / fmt::format("{}-{}-ubyte", prefix_, content);
    return std::filesystem::exists(plain) ? plain : std::filesystem::path(plain.string() + ".gz");
  }

  [[nodiscard]] int64_t label(int64_t index) const {
    if (index < 0 || index >= range_.count) throw std::out_of_range("there is no such picture");
    return labels_.values[static_cast<std::size_t>(range_.first + index)];
  }

  std::filesystem::path folder_;
  std::string prefix_;
  IdxArray images_;  // [n, height, width]
  IdxArray labels_;  // [n]
  Texts captions_;
  std::vector<std::string> names_;
  Range range_;  // of the split
};

}  // namespace

SILC_DATASET(idx, IdxPictures, 1,
             "grey pictures with a label each in MNIST's format, as EMNIST and KMNIST have it, too",
             split("train", "the training files but for what validation holds back"),
             split("validation", "the last pictures of the training files"), split("test", "the t10k files"), kFolder,
             kClassNames, kHeldBack, kClassCaptions);

}  // namespace silc::datasets::idx
