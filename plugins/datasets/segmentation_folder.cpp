// Pictures with label maps in folders: ADE20K, Cityscapes, PASCAL VOC, PASCAL Context, COCO-Stuff as they unpack, and
// people's own.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "pictures/decode.h"
#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/files.h"
#include "silc/dataset.h"

namespace silc::datasets::segmentation_folder {
namespace {

constexpr auto kFolder = required_folder_option("folder", "holds the pictures and label maps, as the layout has them");
constexpr auto kLayout = choice_option(
    "layout", "custom", "custom|ade20k|cityscapes|coco_stuff171|pascal_context59|voc20",
    "where the files are and what their values mean (docs/data.md); custom: images/SPLIT and annotations/SPLIT");
constexpr auto kClassFile = file_option(
    "classes",
    "of a custom layout: lines of the value in label maps, a tab, and the class's name, or \"-\" for no class");
constexpr auto kCaptions =
    choice_option("captions", "classes", "classes|photo",
                  "\"a photo of wall, sky\", the classes that a label map shows, or \"a photo\"");

struct Pair {
  std::string picture;  // from the folder
  std::string labels;
};

using Pairs = std::vector<Pair>;

std::string without_extension(const std::string& path) {
  return path.substr(0, path.size() - extension_of(path).size());
}

// A label map for each picture of `pictures`: the same path in `labels`, with `ending` for the extension.
Pairs beside(const std::filesystem::path& folder, const std::string& pictures, const std::string& labels,
             const std::string& ending) {
  Pairs pairs;
  for (const std::string& file : list_files(folder / pictures, is_picture))
    pairs.push_back({pictures + "/" + file, labels + "/" + without_extension(file) + ending});
  return pairs;
}

// Those that a list of names names.
Pairs listed(const std::filesystem::path& folder, const std::string& list, const std::string& pictures,
             const std::string& labels) {
  Pairs pairs;
  for (const std::string& name : read_list(folder / list)) {
    static_cast<void>(path_below(folder, name, list));
    pairs.push_back({pictures + "/" + name + ".jpg", labels + "/" + name + ".png"});
  }
  return pairs;
}

// The name of the split in a layout that calls it so.
std::string split_name(const std::string& split, const std::string& train, const std::string& validation,
                       std::string_view layout) {
  if (split == "train") return train;
  if (split == "validation") return validation;
  throw Error(fmt::format("{} has label maps for the splits train and validation; there is no \"{}\"", layout, split));
}

// Cityscapes has label maps with ids, and perhaps others with trainIds, which its scripts make.
Pairs cityscapes(const std::filesystem::path& folder, const std::string& split, const std::string& kind) {
  Pairs pairs;
  const std::string pictures = "leftImg8bit/" + split;
  constexpr std::string_view kEnding = "_leftImg8bit.png";
  for (const std::string& file :
       list_files(folder / pictures, [&](std::string_view name) { return name.ends_with(kEnding); }))
    pairs.push_back({pictures + "/" + file, fmt::format("gtFine/{}/{}_gtFine_{}.png", split,
                                                        file.substr(0, file.size() - kEnding.size()), kind)});
  return pairs;
}

bool has_train_ids(const std::filesystem::path& folder, const std::string& split) {
  const Pairs pairs = cityscapes(folder, split, "labelTrainIds");
  return !pairs.empty() && std::filesystem::exists(folder / pairs.front().labels);
}

struct Layout {
  Pairs pairs;
  std::string classes;  // a built-in list; empty: of a file
};

Layout find_layout(const std::string& layout, const std::filesystem::path& folder, const std::string& split) {
  if (layout == "ade20k") {
    const std::string name = split_name(split, "training", "validation", "ADE20K");
    return {beside(folder, "images/" + name, "annotations/" + name, ".png"), "classes/ade20k"};
  }
  if (layout == "cityscapes") {
    const std::string name = split_name(split, "train", "val", "Cityscapes");
    if (has_train_ids(folder, name)) return {cityscapes(folder, name, "labelTrainIds"), "classes/cityscapes_train_ids"};
    return {cityscapes(folder, name, "labelIds"), "classes/cityscapes"};
  }
  if (layout == "coco_stuff171") {
    const std::string name = split_name(split, "train2017", "val2017", "COCO-Stuff");
    return {beside(folder, name, "stuffthingmaps/" + name, ".png"), "classes/coco_stuff171"};
  }
  if (layout == "pascal_context59") {
    const std::string name = split_name(split, "train", "val", "PASCAL Context");
    return {listed(folder, "ImageSets/SegmentationContext/" + name + ".txt", "JPEGImages", "SegmentationClassContext"),
            "classes/pascal_context59"};
  }
  if (layout == "voc20") {
    const std::string name = split_name(split, "train", "val", "PASCAL VOC");
    return {listed(folder, "ImageSets/Segmentation/" + name + ".txt", "JPEGImages", "SegmentationClass"),
            "classes/voc20"};
  }
  const std::string name = split_folder(folder / "images", split).filename().string();
  return {beside(folder, "images/" + name, "annotations/" + name, ".png"), ""};
}

LabelClasses read_classes(const Layout& layout, const std::string& file) {
  if (!layout.classes.empty()) return {built_in_list(layout.classes), layout.classes};
  if (file.empty()) throw Error("dataset \"segmentation_folder\" of a custom layout needs the option \"classes\"");
  return {read_list(file), file};
}

class SegmentationFolder : public Dataset {
 public:
  explicit SegmentationFolder(const DatasetContext& context)
      : folder_(context.options[kFolder]),
        layout_(find_layout(context.options[kLayout], folder_, context.split)),
        classes_(read_classes(layout_, context.options[kClassFile])),
        name_classes_(context.options[kCaptions] == "classes"),
        prompts_(prompts_named(context.options[kPrompts])) {
    if (layout_.pairs.empty())
      throw Error(fmt::format("{}: has no pictures where this layout has them", folder_.string()));
  }

  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(layout_.pairs.size()); }

  [[nodiscard]] Sample sample(int64_t index) const override {
    const Pair& pair = at(index);
    Sample sample;
    sample.image = picture_file(folder_ / pair.picture);
    const LabelMap map = read_labels(pair);
    if (map.width != sample.image.width || map.height != sample.image.height)
      throw Error(fmt::format("{}: has {} × {} pixels, and its picture {} × {}", (folder_ / pair.labels).string(),
                              map.width, map.height, sample.image.width, sample.image.height));
    sample.mask = classes_.classes_of(map.values, (folder_ / pair.labels).string());
    sample.captions = {caption_of(sample.mask)};
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    if (!name_classes_) return {"a photo"};
    const Pair& pair = at(index);
    return {caption_of(classes_.classes_of(read_labels(pair).values, (folder_ / pair.labels).string()))};
  }

  [[nodiscard]] std::vector<std::string> classes() const override { return classes_.names(); }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return prompts_; }

  [[nodiscard]] std::string fingerprint() const override {
    Fingerprint fingerprint;
    for (const Pair& pair : layout_.pairs)
      fingerprint.add(pair.picture).add_state(folder_ / pair.picture).add_state(folder_ / pair.labels);
    for (const std::string& name : classes_.names()) fingerprint.add(name);
    return fingerprint.text();
  }

 private:
  [[nodiscard]] LabelMap read_labels(const Pair& pair) const {
    const std::filesystem::path file = folder_ / pair.labels;
    if (!std::filesystem::exists(file))
      throw Error(fmt::format("{}: there is no such label map, of {}", file.string(), pair.picture));
    return decode_label_map(file_bytes(file), file.string());
  }

  [[nodiscard]] std::string caption_of(const std::vector<uint8_t>& mask) const {
    if (!name_classes_) return "a photo";
    std::set<uint8_t> shown(mask.begin(), mask.end());
    shown.erase(kIgnoreLabel);
    std::string caption = "a photo";
    for (const uint8_t label : shown) caption += (label == *shown.begin() ? " of " : ", ") + classes_.names()[label];
    return caption;
  }

  [[nodiscard]] const Pair& at(int64_t index) const { return layout_.pairs.at(static_cast<std::size_t>(index)); }

  std::filesystem::path folder_;
  Layout layout_;
  LabelClasses classes_;
  bool name_classes_;
  std::vector<std::string> prompts_;
};

}  // namespace

SILC_DATASET(
    segmentation_folder, SegmentationFolder, 1,
    "pictures with PNG label maps: ADE20K-150, Cityscapes-19, COCO-Stuff-171, PASCAL Context-59, VOC-20, or your own",
    kFolder, kLayout, kClassFile, kCaptions, kPrompts);

}  // namespace silc::datasets::segmentation_folder
