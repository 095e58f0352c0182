// Scenes of tinted garments: real pictures of Fashion-MNIST (Xiao et al. 2017), composed.
//
// Train draws from pictures 0..54999 of the training file, validation from the other 5000, the test splits from the
// test file, so no garment of one is seen in another.
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "plugins/datasets/files.h"
#include "plugins/datasets/idx.h"
#include "plugins/datasets/scene.h"
#include "silc/error.h"

namespace silc::datasets::fashion_scenes {
namespace {

constexpr auto kFolder = text_option(
    "folder", "",
    "folder of the four IDX files; empty: fashion-mnist in $SILC_DATA, else datasets/fashion-mnist in $XDG_DATA_DIRS");
constexpr auto kClasses = choice_option(
    "classes", "families", "families|garments",
    "five families (t-shirt, pullover, coat, shirt: top; sandal, sneaker, ankle boot: shoe) or the ten garments");

constexpr std::string_view kRemedy =
    "Install the data with \"apt-get install dataset-fashion-mnist\", or set the option folder to where the files are";

constexpr const char* kTrainFile = "train";
constexpr const char* kTestFile = "t10k";
constexpr int64_t kSide = 28;  // of a Fashion-MNIST picture
constexpr int64_t kGarments = 10;
constexpr int64_t kTrainPictures = 55'000;  // of the training file; the rest is for validation

const std::vector<Noun> kGarmentNouns = {{"t-shirt", "t-shirts"},   {"trousers", "trousers", "pair of", "pairs of"},
                                         {"pullover", "pullovers"}, {"dress", "dresses"},
                                         {"coat", "coats"},         {"sandal", "sandals"},
                                         {"shirt", "shirts"},       {"sneaker", "sneakers"},
                                         {"bag", "bags"},           {"ankle boot", "ankle boots"}};
const std::vector<Noun> kFamilyNouns = {{"top", "tops"},
                                        {"trousers", "trousers", "pair of", "pairs of"},
                                        {"dress", "dresses"},
                                        {"shoe", "shoes"},
                                        {"bag", "bags"}};
constexpr std::array<uint8_t, kGarments> kFamilyOfGarment = {0, 1, 0, 2, 0, 3, 0, 3, 4, 3};

// One of the two pairs of files, decompressed.
struct Garments {
  std::vector<uint8_t> pixels;  // [count, 28, 28]
  std::vector<uint8_t> labels;  // [count] 0..9
};

std::filesystem::path pictures_file(const std::filesystem::path& folder, std::string_view prefix) {
  return folder / fmt::format("{}-images-idx3-ubyte.gz", prefix);
}

std::filesystem::path labels_file(const std::filesystem::path& folder, std::string_view prefix) {
  return folder / fmt::format("{}-labels-idx1-ubyte.gz", prefix);
}

Garments read_garments(const std::filesystem::path& folder, std::string_view prefix) {
  const auto pictures_path = pictures_file(folder, prefix);
  const auto labels_path = labels_file(folder, prefix);
  IdxArray pictures = read_idx(pictures_path, 3, kRemedy);
  IdxArray labels = read_idx(labels_path, 1, kRemedy);
  if (pictures.shape[1] != kSide || pictures.shape[2] != kSide)
    throw Error(fmt::format("{}: has pictures of {} × {} pixels where 28 × 28 are expected. {}", pictures_path.string(),
                            pictures.shape[2], pictures.shape[1], kRemedy));
  if (labels.shape[0] != pictures.shape[0])
    throw Error(fmt::format("{}: has {} labels, but {} has {} pictures. {}", labels_path.string(), labels.shape[0],
                            pictures_path.filename().string(), pictures.shape[0], kRemedy));
  if (std::any_of(labels.values.begin(), labels.values.end(), [](uint8_t label) { return label >= kGarments; }))
    throw Error(fmt::format("{}: has a label above 9. {}", labels_path.string(), kRemedy));
  return {std::move(pictures.values), std::move(labels.values)};
}

// Decompressing takes a third of a second and 47 MB, and an engine makes several datasets from the same files: they
// share what is still in use.
std::shared_ptr<const Garments> shared_garments(const std::filesystem::path& folder, std::string_view prefix) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const Garments>> loaded;  // guarded by mutex
  const std::scoped_lock lock(mutex);
  std::weak_ptr<const Garments>& entry = loaded[std::filesystem::weakly_canonical(folder / prefix).string()];
  std::shared_ptr<const Garments> garments = entry.lock();
  if (!garments) {
    garments = std::make_shared<const Garments>(read_garments(folder, prefix));
    entry = garments;
  }
  return garments;
}

std::filesystem::path find_folder(const DatasetContext& context) {
  const std::filesystem::path base(context.directory);
  if (const std::string& named = context.options[kFolder]; !named.empty()) {
    const std::filesystem::path folder = base / named;
    if (!std::filesystem::is_directory(folder))
      throw Error(fmt::format("{}: there is no such folder. {}", folder.string(), kRemedy));
    return folder;
  }
  if (!base.empty() && std::filesystem::is_directory(base / "fashion-mnist")) return base / "fashion-mnist";
  if (auto folder = find_in_data_folders("datasets/fashion-mnist")) return *folder;
  throw Error(fmt::format("Fashion-MNIST was not found. {}", kRemedy));
}

class FashionScenes : public SceneDataset {
 public:
  explicit FashionScenes(const DatasetContext& context)
      : SceneDataset(read_scene_settings(context, "fashion_scenes"),
                     context.options[kClasses] == "families" ? kFamilyNouns : kGarmentNouns),
        folder_(find_folder(context)) {
    const Split split = settings().split;
    const bool from_train_file = split == Split::train || split == Split::validation;
    garments_ = shared_garments(folder_, from_train_file ? kTrainFile : kTestFile);
    sort_pictures(context.options[kClasses] == "families");
  }

  [[nodiscard]] std::string fingerprint() const override {
    std::string hashes;
    for (const char* file : {kTrainFile, kTestFile})
      for (const auto& part : {pictures_file(folder_, file), labels_file(folder_, file)})
        hashes += fmt::format("{:016x}", hash_file(part, kRemedy));
    return fmt::format("fashion_scenes-1-{:016x}", XXH3_64bits(hashes.data(), hashes.size()));
  }

 private:
  void sort_pictures(bool families) {
    const auto count = static_cast<int64_t>(garments_->labels.size());
    const int64_t border = std::min(kTrainPictures, count);
    const int64_t first = settings().split == Split::validation ? border : 0;
    const int64_t last = settings().split == Split::train ? border : count;
    pictures_.resize(families ? kFamilyNouns.size() : kGarmentNouns.size());
    for (int64_t i = first; i < last; ++i) {
      const uint8_t garment = garments_->labels[static_cast<std::size_t>(i)];
      pictures_[families ? kFamilyOfGarment[garment] : garment].push_back(static_cast<int32_t>(i));
    }
    for (std::size_t label = 0; label < pictures_.size(); ++label)
      if (pictures_[label].empty())
        throw Error(fmt::format("{}: has no picture of the class \"{}\" for this split. {}", folder_.string(),
                                classes()[label], kRemedy));
  }

  void draw(const PlannedObject& object, Stencil& stencil) const override {
    const std::vector<int32_t>& choices = pictures_[static_cast<std::size_t>(object.label)];
    const std::size_t choice = (uint64_t{object.variant} * choices.size()) >> 32;
    const uint8_t* source = garments_->pixels.data() + static_cast<int64_t>(choices[choice]) * kSide * kSide;

    // Bilinear, pixel centres at half.
    struct Tap {
      int64_t low, high;
      float weight;  // of high
    };
    std::vector<Tap> taps(static_cast<std::size_t>(stencil.side));
    const float scale = static_cast<float>(kSide) / static_cast<float>(stencil.side);
    for (std::size_t i = 0; i < taps.size(); ++i) {
      const float at = std::max(0.0F, (static_cast<float>(i) + 0.5F) * scale - 0.5F);
      const auto low = std::min(static_cast<int64_t>(at), kSide - 1);
      taps[i] = {low, std::min(low + 1, kSide - 1), at - static_cast<float>(low)};
    }
    std::size_t to = 0;
    for (const Tap& row : taps) {
      const uint8_t* above = source + row.low * kSide;
      const uint8_t* below = source + row.high * kSide;
      for (std::size_t i = 0; i < taps.size(); ++i, ++to) {
        const Tap& column = taps[object.mirrored ? taps.size() - 1 - i : i];
        const float left = above[column.low] + row.weight * static_cast<float>(below[column.low] - above[column.low]);
        const float right =
            above[column.high] + row.weight * static_cast<float>(below[column.high] - above[column.high]);
        const float grey = left + column.weight * (right - left);
        // The pictures' background is exactly black, and a garment is nearly black at its darkest.
        stencil.coverage[to] = static_cast<uint8_t>(std::clamp((grey - 4) * (255.0F / 40), 0.0F, 255.0F));
        stencil.shade[to] = static_cast<uint8_t>(110 + grey * (145.0F / 255));
      }
    }
  }

  std::filesystem::path folder_;
  std::shared_ptr<const Garments> garments_;
  std::vector<std::vector<int32_t>> pictures_;  // of each class: indices into the file
};

}  // namespace

SILC_DATASET(
    fashion_scenes, FashionScenes, 1, "scenes of tinted Fashion-MNIST garments with captions, labels, masks and boxes",
    split("train", "1 000 000 scenes of 55 000 garments; all pairs of colour and class but those of test_unseen"),
    split("validation", "1000 scenes of 5000 other garments, of the same pairs"),
    split("test", "1000 scenes of the 10 000 test garments, of all pairs: seen and unseen ones mixed"),
    split("test_seen", "1000 scenes of the test garments, of the pairs that training has shown"),
    split("test_unseen", "1000 scenes of the test garments whose pairs of colour and class training has not shown"),
    kFolder, kClasses, kSeed, kSize, kExamples, kMinObjects, kMaxObjects, kBackgroundStyle, kBackgroundLabel,
    kColourless, kMismatched, kHeldOut, kCaptions);

}  // namespace silc::datasets::fashion_scenes
