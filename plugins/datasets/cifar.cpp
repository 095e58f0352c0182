// CIFAR-10 and CIFAR-100 in their binary version, unpacked.
#include <fmt/format.h>

#include <algorithm>

#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/files.h"
#include "silc/dataset.h"

namespace silc::datasets::cifar {
namespace {

constexpr auto kFolder =
    required_folder_option("folder", "cifar-10-batches-bin or cifar-100-binary, as their archives unpack");
constexpr auto kLabels =
    choice_option("labels", "fine", "fine|coarse", "of CIFAR-100: its 100 classes or their 20 groups");
constexpr auto kHeldBack =
    integer_option("validation", 5000, 0, 25000,
                   "pictures at the end of the training files that are the split validation, and not train");
constexpr std::size_t kSide = 32;
constexpr std::size_t kPlane = kSide * kSide;

class Cifar : public Dataset {
 public:
  explicit Cifar(const DatasetContext& context)
      : folder_(context.options[kFolder]),
        hundred_(std::filesystem::exists(folder_ / "fine_label_names.txt")),
        captions_(context.options[kClassCaptions]) {
    const bool coarse = context.options[kLabels] == "coarse";
    label_at_ = hundred_ && !coarse ? 1 : 0;
    names_ = read_list(folder_ / (!hundred_ ? "batches.meta.txt"
                                  : coarse  ? "coarse_label_names.txt"
                                            : "fine_label_names.txt"));
    for (std::string& name : names_) std::replace(name.begin(), name.end(), '_', ' ');
    read(context.split);
    const auto all = static_cast<int64_t>(records_.size() / record_size());
    range_ = range_of_split(context.split, all, context.options[kHeldBack], folder_);
  }

  [[nodiscard]] int64_t size() const override { return range_.count; }

  [[nodiscard]] Sample sample(int64_t index) const override {
    const uint8_t* planes = record(index) + label_bytes();
    Sample sample;
    sample.image = {.width = kSide, .height = kSide, .rgb = std::vector<uint8_t>(3 * kPlane)};
    for (std::size_t i = 0; i < kPlane; ++i)
      for (std::size_t c = 0; c < 3; ++c) sample.image.rgb[3 * i + c] = planes[c * kPlane + i];
    sample.captions = captions(index);
    sample.label = label(index);
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    return captions_naming(captions_, names_[static_cast<std::size_t>(label(index))]);
  }

  [[nodiscard]] std::vector<std::string> classes() const override { return names_; }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return prompts_named("cifar"); }

  [[nodiscard]] std::string fingerprint() const override {
    return Fingerprint().add({reinterpret_cast<const char*>(records_.data()), records_.size()}).text();
  }

 private:
  void read(const std::string& split) {
    std::vector<std::string> files;
    if (split == "test") files = {hundred_ ? "test.bin" : "test_batch.bin"};
    if (split == "train" || split == "validation")
      files = hundred_ ? std::vector<std::string>{"train.bin"}
                       : std::vector<std::string>{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                                  "data_batch_4.bin", "data_batch_5.bin"};
    if (files.empty())
      throw Error(fmt::format("dataset \"cifar\" has no split \"{}\"; it has train, validation and test", split));
    for (const std::string& file : files) {
      const std::vector<uint8_t> bytes = file_bytes(folder_ / file);
      if (bytes.empty() || bytes.size() % record_size() != 0)
        throw Error(fmt::format("{}: has {} bytes, which is no multiple of {}: it is cut short, or no file of CIFAR-{}",
                                (folder_ / file).string(), bytes.size(), record_size(), hundred_ ? 100 : 10));
      for (std::size_t at = label_at_; at < bytes.size(); at += record_size())
        if (bytes[at] >= names_.size())
          throw Error(fmt::format("{}: picture {} has the label {}, and there are {} classes",
                                  (folder_ / file).string(), at / record_size(), bytes[at], names_.size()));
      records_.insert(records_.end(), bytes.begin(), bytes.end());
    }
  }

  [[nodiscard]] std::size_t label_bytes() const { return hundred_ ? 2 : 1; }
  [[nodiscard]] std::size_t record_size() const { return label_bytes() + 3 * kPlane; }
  [[nodiscard]] const uint8_t* record(int64_t index) const {
    if (index < 0 || index >= size()) throw std::out_of_range("there is no such picture");
    return records_.data() + static_cast<std::size_t>(range_.first + index) * record_size();
  }
  [[nodiscard]] int64_t label(int64_t index) const { return record(index)[label_at_]; }

  std::filesystem::path folder_;
  bool hundred_;  // CIFAR-100
  std::size_t label_at_ = 0;
  std::vector<std::string> names_;
  Texts captions_;
  std::vector<uint8_t> records_;  // label bytes, then [3, 32, 32]
  Range range_;                   // of the split
};

}  // namespace

SILC_DATASET(cifar, Cifar, 1, "CIFAR-10 and CIFAR-100 in their binary version",
             split("train", "45 000 pictures: all that validation does not hold back"),
             split("validation", "the last 5000 of the 50 000 training pictures"), split("test", "10 000 pictures"),
             kFolder, kLabels, kHeldBack, kClassCaptions);

}  // namespace silc::datasets::cifar
