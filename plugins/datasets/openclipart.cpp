// Scenes of drawings that people made: those of Debian's openclipart-png, each with a title, keywords and an exact
// mask.
//
// A scene is planned from (seed, split, index) alone, and its captions come from the plan, so that they are had without
// drawing anything. Which drawings are of which class, which are nearly the same, and to which split each belongs
// stands in openclipart/drawings.tsv (tests/reference/openclipart.py): splits share no drawing and no near-duplicate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "pictures/decode.h"
#include "pictures/resample.h"
#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/drawings.h"
#include "plugins/datasets/files.h"
#include "plugins/datasets/scene.h"
#include "plugins/datasets/wording.h"
#include "silc/random.h"

namespace silc::datasets::openclipart {
namespace {

constexpr int64_t kMostDrawings = 5;

constexpr auto kFolder = text_option(
    "folder", "",
    "folder of the PNGs (animals, buildings, …); empty: openclipart/png in $SILC_DATA, else in $XDG_DATA_DIRS");
constexpr auto kDrawings =
    choice_option("drawings", "classes", "classes|all",
                  "1724 drawings of 63 classes; all: every second drawing of the train split is one of 5091 others, "
                  "which have no label, mask or box, and are named as they were found alone");
constexpr auto kMinDrawings = integer_option("min_objects", 1, 1, kMostDrawings, "drawings in a picture at least");
constexpr auto kMaxDrawings = integer_option("max_objects", 3, 1, kMostDrawings, "drawings in a picture at most");
constexpr auto kBackground = choice_option("background", "mixed", "plain|textured|photo|mixed",
                                           "a light tone; stripes, checks and spots; a part of a photograph, of which "
                                           "each split has its own; or each of them");
constexpr auto kPhotos =
    text_option("photos", "",
                "folder of photographs for backgrounds; empty: the fifteen of Debian's lomiri-wallpapers-16.04, "
                "from backgrounds in $XDG_DATA_DIRS");
constexpr auto kFound =
    number_option("found", 0.5, 0, 1,
                  "probability that a caption of the train split is what the drawings' authors wrote (title, keywords, "
                  "description), as on the web; other captions name what is seen");
constexpr auto kUnnamed = number_option(
    "unnamed", 0, 0, 1, "probability that a caption of the train split passes over a drawing, all but one");

constexpr std::string_view kDrawingsRemedy =
    "Install the drawings with \"apt-get install openclipart-png\", or set the option folder to where they are";
constexpr std::string_view kPhotosRemedy =
    "Install photographs with \"apt-get install lomiri-wallpapers-16.04\", set the option photos to a folder of some, "
    "or take background = \"plain\" or \"textured\"";

// All CC BY, CC BY-SA or CC0: /usr/share/doc/lomiri-wallpapers-16.04/copyright.
constexpr std::array kDebianPhotos = {
    "Bridge_by_Sander_Klootwijk.jpg",     "Dragonfly_by_Bolly.jpg",          "Picture_0B_by_freespace.jpg",
    "Picture_1A_by_freespace.jpg",        "Wine_by_Jakkub_Mede.jpg",         "aitzgorri_by_Aitzol_Berasategi.jpg",
    "analogpattern_by_Peter_Nerlich.jpg", "free_by_Peter_Nerlich.jpg",       "friends_by_Aitzol_Berasategi.jpg",
    "greentock_by_Peter_Nerlich.jpg",     "life_by_Aitzol_Berasategi.jpg",   "picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "seeding_by_Clements_Engelhardt.jpg", "sunset_by_Aitzol_Berasategi.jpg", "umang_by_Abhishek_Mudgal.jpg"};

// Uses of the seed. Each split has its own numbers for each.
enum class Use : uint32_t { layout = 0, background = 1, wording = 2, mismatch = 3 };

enum class Backdrop : uint8_t { plain, textured, photo };

struct Tint {
  std::string_view name;
  std::array<int, 3> rgb;
};

// Light, so that black drawings are seen; none is as white as the paper that drawings are white on.
constexpr std::array<Tint, 7> kTints = {{{"white", {240, 240, 240}},
                                         {"grey", {190, 190, 190}},
                                         {"light blue", {190, 215, 240}},
                                         {"light green", {195, 230, 195}},
                                         {"pink", {240, 205, 215}},
                                         {"beige", {235, 220, 190}},
                                         {"lilac", {215, 200, 235}}}};

// Lengths are fractions of the picture's side.
struct Placed {
  std::size_t drawing = 0;
  int64_t label = kNoLabel;
  double x = 0, y = 0;  // centre
  double side = 0;      // of the square that the drawing fits into
};

struct Plan {
  Backdrop backdrop = Backdrop::plain;
  std::size_t tint = 0;
  Background texture = Background::striped;
  std::vector<Placed> objects;  // from left to right
  std::size_t main = 0;         // the largest, which gives the picture its label and lies over the others
};

struct Settings {
  std::string split;
  uint64_t seed = 0;
  int64_t size = 0, examples = 0, min_objects = 0, max_objects = 0, captions = 0;
  double found = 0, unnamed = 0, mismatched = 0;
  std::vector<Backdrop> backdrops;
  bool others = false;  // drawings without a class, too
  bool background_class = false;
};

std::vector<Backdrop> backdrops_named(const std::string& name) {
  if (name == "plain") return {Backdrop::plain};
  if (name == "textured") return {Backdrop::textured};
  if (name == "photo") return {Backdrop::photo};
  return {Backdrop::plain, Backdrop::textured, Backdrop::photo};
}

Settings read_settings(const DatasetContext& context) {
  const Options& options = context.options;
  if (context.split != "train" && context.split != "validation" && context.split != "test")
    throw Error(
        fmt::format("dataset \"openclipart\" has no split \"{}\"; it has train, validation, test", context.split));
  Settings settings;
  settings.split = context.split;
  const bool train = context.split == "train";
  settings.seed = static_cast<uint64_t>(options[kSeed]);
  settings.size = options[kSize];
  settings.examples = options[kExamples] != 0 ? options[kExamples] : train ? 1'000'000 : 1'000;
  settings.min_objects = options[kMinDrawings];
  settings.max_objects = options[kMaxDrawings];
  settings.captions = options[kCaptions];
  settings.found = train ? options[kFound] : 0;
  settings.unnamed = train ? options[kUnnamed] : 0;
  settings.mismatched = train ? options[kMismatched] : 0;
  settings.backdrops = backdrops_named(options[kBackground]);
  settings.others = train && options[kDrawings] == "all";
  settings.background_class = options[kBackgroundLabel] == "class";
  if (settings.min_objects > settings.max_objects)
    throw Error(fmt::format("dataset \"openclipart\": min_objects = {} is more than max_objects = {}",
                            settings.min_objects, settings.max_objects));
  return settings;
}

std::filesystem::path find_folder(const DatasetContext& context) {
  const std::filesystem::path base(context.directory);
  if (const std::string& named = context.options[kFolder]; !named.empty()) {
    if (!std::filesystem::is_directory(base / named))
      throw Error(fmt::format("{}: there is no such folder. {}", (base / named).string(), kDrawingsRemedy));
    return base / named;
  }
  if (!base.empty() && std::filesystem::is_directory(base / "openclipart/png")) return base / "openclipart/png";
  if (auto folder = find_in_data_folders("openclipart/png")) return *folder;
  throw Error(fmt::format("The drawings were not found. {}", kDrawingsRemedy));
}

std::vector<std::filesystem::path> find_photos(const DatasetContext& context) {
  std::vector<std::filesystem::path> photos;
  if (const std::string& named = context.options[kPhotos]; !named.empty()) {
    const std::filesystem::path folder = std::filesystem::path(context.directory) / named;
    for (const std::string& file : list_files(folder, is_picture)) photos.push_back(folder / file);
    if (photos.empty()) throw Error(fmt::format("{}: has no pictures. {}", folder.string(), kPhotosRemedy));
    return photos;
  }
  const auto folder = find_in_data_folders("backgrounds");
  for (const char* name : kDebianPhotos) {
    if (!folder || !std::filesystem::exists(*folder / name))
      throw Error(fmt::format("The photograph {} was not found. {}", name, kPhotosRemedy));
    photos.push_back(*folder / name);
  }
  return photos;
}

// Of five photographs three are for training, one for validation, one for test; fewer are for all.
std::vector<std::filesystem::path> photos_of_split(const std::vector<std::filesystem::path>& photos,
                                                   const std::string& split) {
  if (photos.size() < 5) return photos;
  std::vector<std::filesystem::path> chosen;
  for (std::size_t i = 0; i < photos.size(); ++i) {
    const std::string_view owner = i % 5 == 3 ? "validation" : i % 5 == 4 ? "test" : "train";
    if (owner == split) chosen.push_back(photos[i]);
  }
  return chosen;
}

// Reduced to about twice the size of what is cut out of it.
Image backdrop_photo(const std::filesystem::path& file, int64_t size) {
  Image photo = picture_file(file);
  const int64_t side = std::min(photo.width, photo.height);
  int64_t reduction = 1;
  while (reduction < 8 && side / (2 * reduction) >= 2 * size) reduction *= 2;
  const Region whole{.x = 0, .y = 0, .width = photo.width, .height = photo.height};
  return decode_part(std::move(photo), whole, reduction).pixels;
}

// A square part of the photograph, half as wide as it to all of it.
void paint_photo(const Image& photo, Image& picture, Random& random) {
  const int64_t most = std::min(photo.width, photo.height);
  const auto side = static_cast<int64_t>(random.uniform(0.5, 1) * static_cast<double>(most));
  const auto x = static_cast<int64_t>(random.uniform() * static_cast<double>(photo.width - side + 1));
  const auto y = static_cast<int64_t>(random.uniform() * static_cast<double>(photo.height - side + 1));
  const int64_t size = picture.width;
  picture.rgb = resampled_levels(photo, {.begin = x, .length = side, .size = size, .first = 0, .count = size},
                                 {.begin = y, .length = side, .size = size, .first = 0, .count = size});
}

Tones draw_texture_tones(Random& random) {
  Tones tones;
  const Tint& first = kTints[random.below(kTints.size())];
  const int contrast = 25 + static_cast<int>(random.below(50));
  for (std::size_t c = 0; c < 3; ++c) {
    tones.first[c] = first.rgb[c];
    tones.second[c] = first.rgb[c] - contrast + static_cast<int>(random.below(21)) - 10;
  }
  return tones;
}

// ---- captions

// "map symbols" for "signs_and_symbols/map_symbols/church_02".
std::string words_of_folder(std::string_view path) {
  path = path.substr(0, path.rfind('/'));
  std::string words(path.substr(path.rfind('/') + 1));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string words_of_file(std::string_view path) {
  std::string words(path.substr(path.rfind('/') + 1));
  std::replace_if(
      words.begin(), words.end(), [](char c) { return c == '_' || c == '-'; }, ' ');
  return words;
}

// The drawing as it was found: its title most of the time, as an alt text is.
std::string found_text(const Drawing& drawing, Random& random) {
  const double choice = random.uniform();
  if (choice < 0.2 && !drawing.keywords.empty()) return std::string(drawing.keywords);
  if (choice < 0.35 && !drawing.description.empty()) return std::string(drawing.description);
  const std::string title = drawing.title.empty() ? words_of_file(drawing.path) : std::string(drawing.title);
  return choice > 0.85 ? fmt::format("{}, {}", title, words_of_folder(drawing.path)) : title;
}

struct Noun {
  std::string one, several;
};

std::vector<Noun> read_nouns() {
  std::vector<Noun> nouns;
  for (const std::string& line : built_in_list("classes/openclipart")) {
    const std::size_t tab = line.find('\t');
    nouns.push_back({line.substr(0, tab), line.substr(tab + 1)});
  }
  return nouns;
}

std::string phrase(const Noun& noun, int64_t count) {
  return count > 1 ? fmt::format("{} {}", number_word(count), noun.several)
                   : fmt::format("{} {}", article(noun.one), noun.one);
}

// Those that are alike counted together, in the order in which they are met: "a cat, two stars and a key".
std::string counted(const std::vector<Noun>& nouns, const std::vector<Placed>& objects) {
  std::vector<std::pair<int64_t, int64_t>> counts;  // label, number
  for (const Placed& object : objects) {
    const auto met = std::find_if(counts.begin(), counts.end(), [&](const auto& c) { return c.first == object.label; });
    if (met == counts.end())
      counts.emplace_back(object.label, 1);
    else
      ++met->second;
  }
  std::vector<std::string> phrases;
  for (const auto& [label, count] : counts) phrases.push_back(phrase(nouns[static_cast<std::size_t>(label)], count));
  return enumerated(phrases);
}

// Where two stand to each other, or one in the picture.
std::string relation(const std::vector<Noun>& nouns, const std::vector<Placed>& objects, Random& random) {
  const auto name = [&](const Placed& object) { return phrase(nouns[static_cast<std::size_t>(object.label)], 1); };
  if (objects.size() == 1) return fmt::format("{} {}", name(objects[0]), place_in_picture(objects[0].x, objects[0].y));
  if (objects.size() > 2) return counted(nouns, objects);
  if (objects[0].label == objects[1].label) return counted(nouns, objects);
  const bool turned = random.uniform() < 0.5;
  const Placed& first = objects[turned ? 1 : 0];
  const Placed& second = objects[turned ? 0 : 1];
  const double x = first.x - second.x;
  const double y = first.y - second.y;
  const std::string_view word = std::abs(x) >= std::abs(y) ? (x < 0 ? "left of" : "right of")
                                : y < 0                    ? "above"
                                                           : "below";
  return fmt::format("{} {} {}", name(first), word, name(second));
}

std::string background_words(const Plan& plan) {
  switch (plan.backdrop) {
    case Backdrop::plain:
      return fmt::format("on a {} background", kTints[plan.tint].name);
    case Backdrop::textured:
      return std::string(background_phrase(plan.texture));
    case Backdrop::photo:
      return "on a photograph";
  }
  throw std::logic_error("unknown backdrop");
}

class OpenClipart : public Dataset {
 public:
  explicit OpenClipart(const DatasetContext& context)
      : settings_(read_settings(context)), folder_(find_folder(context)), nouns_(read_nouns()) {
    sort_drawings();
    if (std::find(settings_.backdrops.begin(), settings_.backdrops.end(), Backdrop::photo) !=
        settings_.backdrops.end()) {
      all_photos_ = find_photos(context);
      for (const auto& file : photos_of_split(all_photos_, settings_.split))
        photos_.push_back(backdrop_photo(file, settings_.size));
    }
    cutouts_ = shared_cutouts(folder_, settings_.size);
  }

  [[nodiscard]] int64_t size() const override { return settings_.examples; }

  [[nodiscard]] Sample sample(int64_t index) const override {
    const Plan plan = this->plan(index);
    const int64_t size = settings_.size;
    Sample sample;
    sample.image = {size, size, std::vector<uint8_t>(static_cast<std::size_t>(size * size * 3))};
    sample.mask.assign(static_cast<std::size_t>(size * size),
                       settings_.background_class ? static_cast<uint8_t>(nouns_.size()) : kIgnoreLabel);
    sample.label = plan.objects[plan.main].label;
    paint_backdrop(plan, index, sample.image);
    for (std::size_t i = 0; i < plan.objects.size(); ++i)
      if (i != plan.main) draw(plan.objects[i], sample);
    draw(plan.objects[plan.main], sample);
    sample.captions = captions(index);
    return sample;
  }

  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    const Plan plan =
        this->plan(captioned_scene(settings_.mismatched, settings_.examples, index, random_for(Use::mismatch, index)));
    std::vector<std::string> captions;
    for (int64_t i = 0; i < settings_.captions; ++i)
      captions.push_back(caption(plan, random_for(Use::wording, index, static_cast<uint32_t>(i))));
    return captions;
  }

  [[nodiscard]] std::vector<std::string> classes() const override {
    std::vector<std::string> names;
    for (const Noun& noun : nouns_) names.push_back(noun.one);
    if (settings_.background_class) names.emplace_back("background");
    return names;
  }

  [[nodiscard]] std::vector<std::string> prompt_templates() const override {
    return {"a drawing of a {}", "a picture of a {}", "a {}"};
  }

  [[nodiscard]] std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("openclipart-1");
    for (const Drawing& drawing : drawings()) {
      fingerprint.add(drawing.path).add(drawing.split).add(std::to_string(drawing.label));
      fingerprint.add(drawing.title).add(drawing.keywords).add(drawing.description);
      fingerprint.add_state(file_of(drawing));
    }
    for (const auto& photo : all_photos_) fingerprint.add(photo.filename().string()).add_state(photo);
    return fingerprint.text();
  }

 private:
  [[nodiscard]] std::filesystem::path file_of(const Drawing& drawing) const {
    return folder_ / (std::string(drawing.path) + ".png");
  }

  // Into groups of those that are nearly the same, so that a series of a thousand counts as one.
  void sort_drawings() {
    std::map<std::pair<int64_t, int64_t>, std::vector<std::size_t>> groups;  // by label and group
    std::size_t missing = 0;
    std::string first_missing;
    for (std::size_t i = 0; i < drawings().size(); ++i) {
      const Drawing& drawing = drawings()[i];
      if (drawing.split != settings_.split || (drawing.label == kNoLabel && !settings_.others)) continue;
      if (!std::filesystem::exists(file_of(drawing)) && ++missing == 1) first_missing = file_of(drawing).string();
      groups[{drawing.label, drawing.group}].push_back(i);
    }
    if (missing != 0)
      throw Error(fmt::format("{}: is not there, and {} other drawings of the split \"{}\" are missing, too. {}",
                              first_missing, missing - 1, settings_.split, kDrawingsRemedy));
    of_class_.resize(nouns_.size());
    for (auto& [key, group] : groups)
      (key.first == kNoLabel ? others_ : of_class_[static_cast<std::size_t>(key.first)]).push_back(std::move(group));
  }

  [[nodiscard]] Random random_for(Use use, int64_t index, uint32_t step = 0) const {
    const uint32_t split = settings_.split == "train" ? 0 : settings_.split == "validation" ? 1 : 2;
    return Random(settings_.seed, split * 8 + static_cast<uint32_t>(use), static_cast<uint64_t>(index), step);
  }

  [[nodiscard]] Plan plan(int64_t index) const {
    if (index < 0 || index >= settings_.examples)
      throw std::out_of_range(fmt::format("sample {} of {}", index, settings_.examples));
    Random random = random_for(Use::layout, index);
    Plan plan;
    plan.backdrop = settings_.backdrops[random.below(static_cast<uint32_t>(settings_.backdrops.size()))];
    plan.tint = random.below(kTints.size());
    plan.texture = static_cast<Background>(static_cast<uint32_t>(Background::striped) + random.below(3));
    const int64_t count =
        settings_.min_objects + random.below(static_cast<uint32_t>(settings_.max_objects - settings_.min_objects + 1));
    for (int64_t i = 0; i < count; ++i) plan.objects.push_back(choose(random));
    place(plan.objects, random);
    std::sort(plan.objects.begin(), plan.objects.end(), [](const Placed& a, const Placed& b) { return a.x < b.x; });
    const auto largest = std::max_element(plan.objects.begin(), plan.objects.end(),
                                          [](const Placed& a, const Placed& b) { return a.side < b.side; });
    plan.main = static_cast<std::size_t>(largest - plan.objects.begin());
    return plan;
  }

  // Classes are alike in number, and in a class those that are not nearly the same.
  [[nodiscard]] Placed choose(Random& random) const {
    Placed placed;
    const bool other = settings_.others && random.uniform() < 0.5;
    if (!other) placed.label = random.below(static_cast<uint32_t>(of_class_.size()));
    const auto& groups = other ? others_ : of_class_[static_cast<std::size_t>(placed.label)];
    const std::vector<std::size_t>& group = groups[random.below(static_cast<uint32_t>(groups.size()))];
    placed.drawing = group[random.below(static_cast<uint32_t>(group.size()))];
    return placed;
  }

  // The largest first, each where it covers little of those before it.
  static void place(std::vector<Placed>& objects, Random& random) {
    struct Range {
      double low, high;
    };
    constexpr std::array<Range, kMostDrawings> kSides = {
        {{0.5, 0.92}, {0.4, 0.58}, {0.34, 0.48}, {0.3, 0.42}, {0.26, 0.38}}};
    constexpr int kTries = 24;
    const Range range = kSides.at(objects.size() - 1);
    for (Placed& object : objects) object.side = random.uniform(range.low, range.high);
    std::sort(objects.begin(), objects.end(), [](const Placed& a, const Placed& b) { return a.side > b.side; });
    for (std::size_t i = 0; i < objects.size(); ++i) {
      Placed& object = objects[i];
      double least = 2;
      for (int attempt = 0; attempt < kTries && least > 0; ++attempt) {
        const double x = random.uniform(object.side / 2, 1 - object.side / 2);
        const double y = random.uniform(object.side / 2, 1 - object.side / 2);
        double covered = 0;
        for (std::size_t j = 0; j < i; ++j) {
          const double reach = (object.side + objects[j].side) / 2;
          const double width = std::max(0.0, reach - std::abs(x - objects[j].x));
          const double height = std::max(0.0, reach - std::abs(y - objects[j].y));
          covered = std::max(covered, width * height / (object.side * object.side));
        }
        if (covered >= least) continue;
        least = covered;
        object.x = x;
        object.y = y;
      }
    }
  }

  void paint_backdrop(const Plan& plan, int64_t index, Image& picture) const {
    Random random = random_for(Use::background, index);
    if (plan.backdrop == Backdrop::photo) {
      paint_photo(photos_[random.below(static_cast<uint32_t>(photos_.size()))], picture, random);
    } else if (plan.backdrop == Backdrop::textured) {
      paint_background(picture, plan.texture, draw_texture_tones(random), random);
    } else {
      const Tones tones{.first = kTints[plan.tint].rgb, .second = kTints[plan.tint].rgb};
      paint_background(picture, Background::white, tones, random);
    }
  }

  void draw(const Placed& object, Sample& sample) const {
    constexpr int kSolid = 128;  // from half coverage on a pixel belongs to the drawing
    const std::shared_ptr<const Cutout> whole = cutouts_->get(object.drawing);
    const int64_t size = settings_.size;
    const double side = object.side * static_cast<double>(size);
    const double scale = side / static_cast<double>(std::max(whole->width, whole->height));
    const Cutout cutout = resized(*whole, std::max<int64_t>(1, std::lround(scale * static_cast<double>(whole->width))),
                                  std::max<int64_t>(1, std::lround(scale * static_cast<double>(whole->height))));
    const auto left =
        static_cast<int64_t>(std::lround(object.x * static_cast<double>(size) - static_cast<double>(cutout.width) / 2));
    const auto top = static_cast<int64_t>(
        std::lround(object.y * static_cast<double>(size) - static_cast<double>(cutout.height) / 2));
    paste(cutout, left, top, sample.image);
    int64_t x0 = size, y0 = size, x1 = 0, y1 = 0;
    for (int64_t row = std::max<int64_t>(0, -top); row < std::min(cutout.height, size - top); ++row) {
      for (int64_t column = std::max<int64_t>(0, -left); column < std::min(cutout.width, size - left); ++column) {
        if (cutout.coverage[static_cast<std::size_t>(row * cutout.width + column)] < kSolid) continue;
        const int64_t x = left + column;
        const int64_t y = top + row;
        sample.mask[static_cast<std::size_t>(y * size + x)] =
            object.label == kNoLabel ? kIgnoreLabel : static_cast<uint8_t>(object.label);
        x0 = std::min(x0, x);
        y0 = std::min(y0, y);
        x1 = std::max(x1, x + 1);
        y1 = std::max(y1, y + 1);
      }
    }
    if (x0 < x1 && object.label != kNoLabel)
      sample.boxes.push_back({static_cast<float>(x0), static_cast<float>(y0), static_cast<float>(x1),
                              static_cast<float>(y1), object.label});
  }

  [[nodiscard]] std::string caption(const Plan& plan, Random random) const {
    std::vector<Placed> named;
    for (std::size_t i = 0; i < plan.objects.size(); ++i)
      if (i == plan.main || random.uniform() >= settings_.unnamed) named.push_back(plan.objects[i]);
    const bool nameless = std::any_of(named.begin(), named.end(), [](const Placed& o) { return o.label == kNoLabel; });
    if (random.uniform() < settings_.found || nameless) {
      std::vector<std::string> texts;
      for (const Placed& object : named) texts.push_back(found_text(drawings()[object.drawing], random));
      return fmt::format("{}", fmt::join(texts, ", "));
    }
    const double opening = random.uniform();
    std::string text = opening < 0.25  ? "a drawing of "
                       : opening < 0.4 ? "a picture of "
                       : opening < 0.5 ? "clip art of "
                                       : "";
    text += random.uniform() < 0.6 ? relation(nouns_, named, random) : counted(nouns_, named);
    if (random.uniform() < 0.25) text += " " + background_words(plan);
    return text;
  }

  Settings settings_;
  std::filesystem::path folder_;  // of the PNGs
  std::vector<Noun> nouns_;       // by label
  // Drawings of the split: groups of those that are nearly the same, of each class and without one.
  std::vector<std::vector<std::vector<std::size_t>>> of_class_;
  std::vector<std::vector<std::size_t>> others_;
  std::vector<std::filesystem::path> all_photos_;
  std::vector<Image> photos_;  // of the split
  std::shared_ptr<CutoutStore> cutouts_;
};

}  // namespace

SILC_DATASET(
    openclipart, OpenClipart, 1,
    "scenes of one to five drawings by people (Debian's openclipart-png) with captions, labels, masks and boxes",
    split("train", "1 000 000 scenes of 1070 drawings of 63 classes, and 5091 others with drawings = \"all\""),
    split("validation", "1000 scenes of 237 other drawings, none nearly the same"),
    split("test", "1000 scenes of 417 other drawings, none nearly the same"), kFolder, kDrawings, kSeed, kSize,
    kExamples, kMinDrawings, kMaxDrawings, kBackground, kPhotos, kBackgroundLabel, kFound, kUnnamed, kMismatched,
    kCaptions);

}  // namespace silc::datasets::openclipart
