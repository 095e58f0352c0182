// COCO: captions, and the objects (instances or stuff) as masks and boxes; and what else is annotated in its format.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <variant>

#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/files.h"
#include "plugins/datasets/masks.h"
#include "silc/dataset.h"

namespace silc::datasets::coco {
namespace {

using Json = nlohmann::json;

constexpr auto kFolder = folder_option(
    "folder",
    "holds train2017, val2017 and annotations, as COCO's archives unpack; empty: the options below name the files");
constexpr auto kYear = text_option("year", "2017", "of the folders and annotations: 2014 or 2017");
constexpr auto kObjects =
    choice_option("objects", "none", "none|instances|stuff",
                  "masks and boxes from instances_train2017.json or stuff_train2017.json and the like");
constexpr auto kCaptionsFile = file_option("captions_file", "captions in COCO's format, in the place of the folder's");
constexpr auto kObjectsFile = file_option("objects_file", "objects in COCO's format, in the place of the folder's");
constexpr auto kImages = folder_option("images", "where file_name of a picture starts, in the place of the folder's");

// What an annotation says of where its object is.
using Polygons = std::vector<std::vector<double>>;
using Area = std::variant<Polygons, RunLengths>;

struct Object {
  int64_t category = 0;  // id, then index into the classes
  bool crowd = false;
  double area = 0;
  std::array<double, 4> box = {};  // x, y, width, height
  Area where;
};

struct Picture {
  std::string file;
  int64_t width = 0, height = 0;  // as the annotations have it; 0: they do not say
  std::vector<std::string> captions;
  std::vector<Object> objects;
};

// Calls `visit(list, element)` for each element of the lists at the top of a file, which are not kept.
void visit_elements(const std::filesystem::path& file,
                    const std::function<void(const std::string& list, const Json& element)>& visit) {
  const std::vector<uint8_t> bytes = file_bytes(file);
  std::string list;
  const auto take = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == 1 && event == Json::parse_event_t::key) list = parsed.get<std::string>();
    if (depth != 2 || event != Json::parse_event_t::object_end) return true;
    visit(list, parsed);
    return false;
  };
  try {
    std::ignore = Json::parse(bytes.begin(), bytes.end(), take);
  } catch (const Json::exception& error) {
    throw Error(fmt::format("{}: is not in COCO's format ({})", file.string(), error.what()));
  }
}

Area read_area(const Json& segmentation, const std::string& where) {
  if (segmentation.is_array()) return segmentation.get<Polygons>();
  const Json& counts = segmentation.at("counts");
  if (counts.is_string()) return read_run_lengths(counts.get<std::string>(), where);
  return counts.get<RunLengths>();
}

Object read_object(const Json& annotation, const std::string& where) {
  Object object;
  object.category = annotation.at("category_id");
  object.crowd = annotation.value("iscrowd", 0) != 0;
  object.area = annotation.value("area", 0.0);
  object.box = annotation.value("bbox", object.box);
  if (const auto area = annotation.find("segmentation"); area != annotation.end())
    object.where = read_area(*area, where);
  return object;
}

// Where the files of a split are.
struct Layout {
  std::filesystem::path images;
  std::filesystem::path captions;  // empty: there are none
  std::filesystem::path objects;   // likewise
};

Layout find_layout(const DatasetContext& context) {
  const Options& options = context.options;
  const std::filesystem::path folder = options[kFolder];
  const std::string split = (context.split == "validation" ? "val" : context.split) + options[kYear];
  const bool wants_objects = options[kObjects] != "none" || !options[kObjectsFile].empty();
  Layout layout{options[kImages], options[kCaptionsFile], options[kObjectsFile]};
  if (!folder.empty()) {
    const auto annotations = [&](const std::string& kind) {
      return folder / "annotations" / (kind + "_" + split + ".json");
    };
    if (layout.images.empty()) layout.images = folder / split;
    if (layout.captions.empty() && std::filesystem::exists(annotations("captions")))
      layout.captions = annotations("captions");
    if (layout.objects.empty() && wants_objects) layout.objects = annotations(options[kObjects]);
    if (layout.captions.empty() && layout.objects.empty())
      throw Error(fmt::format("{}: is not there{}", annotations("captions").string(),
                              context.split == "test"
                                  ? "; COCO's test pictures have no annotations, so evaluate on the "
                                    "split \"validation\""
                                  : ""));
  }
  if (layout.images.empty() || (layout.captions.empty() && layout.objects.empty()))
    throw Error("dataset \"coco\" needs the option folder, or images with captions_file or objects_file");
  return layout;
}

class Coco : public Dataset {
 public:
  explicit Coco(const DatasetContext& context)
      : layout_(find_layout(context)), prompts_(prompts_named(context.options[kPrompts])) {
    std::map<int64_t, Picture> pictures;  // by id
    if (!layout_.captions.empty()) read_captions(pictures);
    if (!layout_.objects.empty()) read_objects(pictures);
    for (auto& [id, picture] : pictures) pictures_.push_back(std::move(picture));
    if (pictures_.empty())
      throw Error(fmt::format("{}: lists no pictures",
                              (layout_.captions.empty() ? layout_.objects : layout_.captions).string()));
  }

  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(pictures_.size()); }

  [[nodiscard]] Sample sample(int64_t index) const override {
    const Picture& picture = at(index);
    Sample sample;
    sample.captions = captions(index);
    sample.image = picture_file(path_below(layout_.images, picture.file, "file_name"));
    if (layout_.objects.empty()) return sample;
    const int64_t width = sample.image.width;
    const int64_t height = sample.image.height;
    if (picture.width != width || picture.height != height)
      throw Error(fmt::format("{}: has {} × {} pixels, and the annotations are for {} × {}", sample.image.source, width,
                              height, picture.width, picture.height));
    sample.mask = mask_of(picture);
    for (const Object& object : picture.objects)
      if (!object.crowd) add_box(object, picture, sample.boxes);
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    const Picture& picture = at(index);
    if (layout_.captions.empty()) return {names_in(picture)};
    if (picture.captions.empty())
      throw Error(fmt::format("{}: has no caption of {}", layout_.captions.string(), picture.file));
    for (const std::string& caption : picture.captions)
      check_caption(caption, fmt::format("{}: {}", layout_.captions.string(), picture.file));
    return picture.captions;
  }

  [[nodiscard]] std::vector<std::string> classes() const override { return classes_; }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return prompts_; }

  [[nodiscard]] std::string fingerprint() const override {
    Fingerprint fingerprint;
    for (const std::filesystem::path& file : {layout_.captions, layout_.objects})
      if (!file.empty()) fingerprint.add_content(file);
    for (const Picture& picture : pictures_) fingerprint.add(picture.file).add_state(layout_.images / picture.file);
    return fingerprint.text();
  }

 private:
  static void add_picture(const Json& element, std::map<int64_t, Picture>& pictures) {
    Picture& picture = pictures[element.at("id")];
    picture.file = element.at("file_name");
    picture.width = element.value("width", int64_t{0});
    picture.height = element.value("height", int64_t{0});
  }

  void read_captions(std::map<int64_t, Picture>& pictures) const {
    std::map<int64_t, std::vector<std::string>> captions;  // by the picture's id
    visit_elements(layout_.captions, [&](const std::string& list, const Json& element) {
      if (list == "images") add_picture(element, pictures);
      if (list == "annotations") captions[element.at("image_id")].push_back(element.at("caption"));
    });
    for (auto& [id, texts] : captions) {
      const auto picture = pictures.find(id);
      if (picture == pictures.end())
        throw Error(
            fmt::format("{}: has a caption of picture {}, which it does not list", layout_.captions.string(), id));
      picture->second.captions = std::move(texts);
    }
  }

  void read_objects(std::map<int64_t, Picture>& pictures) {
    const bool listed = !pictures.empty();  // by the captions, which then say what the dataset is
    std::map<int64_t, std::string> categories;
    std::map<int64_t, std::vector<Object>> objects;  // by the picture's id
    visit_elements(layout_.objects, [&](const std::string& list, const Json& element) {
      if (list == "images" && (!listed || pictures.contains(element.at("id")))) add_picture(element, pictures);
      if (list == "categories") categories[element.at("id")] = element.at("name");
      if (list != "annotations") return;
      const std::string where =
          fmt::format("{}: annotation {}", layout_.objects.string(), element.value("id", int64_t{0}));
      objects[element.at("image_id")].push_back(read_object(element, where));
    });
    std::map<int64_t, int64_t> index_of;  // ids have gaps
    for (const auto& [id, name] : categories) {
      index_of[id] = static_cast<int64_t>(classes_.size());
      classes_.push_back(name);
    }
    if (classes_.empty() || classes_.size() > kIgnoreLabel)
      throw Error(fmt::format("{}: has {} categories; masks hold 1 to {}", layout_.objects.string(), classes_.size(),
                              kIgnoreLabel));
    for (auto& [id, list] : objects) {
      for (Object& object : list) {
        const auto index = index_of.find(object.category);
        if (index == index_of.end())
          throw Error(fmt::format("{}: picture {} has an object of category {}, which the file does not list",
                                  layout_.objects.string(), id, object.category));
        object.category = index->second;
      }
      if (const auto picture = pictures.find(id); picture != pictures.end()) picture->second.objects = std::move(list);
    }
  }

  // Large objects first, so that small ones in front of them are seen; crowds below all.
  [[nodiscard]] std::vector<uint8_t> mask_of(const Picture& picture) const {
    std::vector<const Object*> order;
    for (const Object& object : picture.objects) order.push_back(&object);
    std::stable_sort(order.begin(), order.end(), [](const Object* a, const Object* b) {
      return a->crowd != b->crowd ? a->crowd : a->area > b->area;
    });
    const std::string where = fmt::format("{}: {}", layout_.objects.string(), picture.file);
    std::vector<uint8_t> mask(static_cast<std::size_t>(picture.width * picture.height), kIgnoreLabel);
    for (const Object* object : order) {
      const auto label = static_cast<uint8_t>(object->category);
      if (const auto* runs = std::get_if<RunLengths>(&object->where)) {
        paint(*runs, label, picture.width, picture.height, mask, where);
        continue;
      }
      for (const std::vector<double>& polygon : std::get<Polygons>(object->where)) {
        check_polygon(polygon, picture, where);
        paint(polygon_run_lengths(polygon, picture.width, picture.height), label, picture.width, picture.height, mask,
              where);
      }
    }
    return mask;
  }

  // Corners a little outside are rounding; far outside they are damage, which would take long to draw.
  static void check_polygon(const std::vector<double>& polygon, const Picture& picture, const std::string& where) {
    for (std::size_t i = 0; i < polygon.size(); ++i) {
      const auto side = static_cast<double>(i % 2 == 0 ? picture.width : picture.height);
      if (!(polygon[i] >= -side && polygon[i] <= 2 * side))
        throw Error(fmt::format("{}: a polygon has a corner at {}, far outside of the picture", where, polygon[i]));
    }
  }

  static void add_box(const Object& object, const Picture& picture, std::vector<Box>& boxes) {
    const auto [x, y, width, height] = object.box;
    const auto inside = [](double value, int64_t side) {
      return static_cast<float>(std::clamp(value, 0.0, static_cast<double>(side)));
    };
    const Box box{.x0 = inside(x, picture.width),
                  .y0 = inside(y, picture.height),
                  .x1 = inside(x + width, picture.width),
                  .y1 = inside(y + height, picture.height),
                  .label = object.category};
    if (box.x0 < box.x1 && box.y0 < box.y1) boxes.push_back(box);
  }

  // "a photo of dog, person": the classes in a picture without captions.
  [[nodiscard]] std::string names_in(const Picture& picture) const {
    std::set<int64_t> seen;
    for (const Object& object : picture.objects) seen.insert(object.category);
    std::string caption = "a photo";
    for (const int64_t label : seen)
      caption += (label == *seen.begin() ? " of " : ", ") + classes_[static_cast<std::size_t>(label)];
    return caption;
  }

  [[nodiscard]] const Picture& at(int64_t index) const { return pictures_.at(static_cast<std::size_t>(index)); }

  Layout layout_;
  std::vector<std::string> prompts_;
  std::vector<std::string> classes_;
  std::vector<Picture> pictures_;  // in the order of their ids
};

}  // namespace

SILC_DATASET(coco, Coco, 1,
             "COCO: five captions a picture, masks and boxes of instances or stuff; and other data in its format",
             split("train", "train2017, 118 287 pictures"), split("validation", "val2017, 5000 pictures"), kFolder,
             kYear, kObjects, kCaptionsFile, kObjectsFile, kImages, kPrompts);

}  // namespace silc::datasets::coco
