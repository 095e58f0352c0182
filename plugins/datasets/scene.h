// Scenes: one to four tinted objects on a background, with captions, a label, a mask and boxes. What every procedural
// dataset here shares; a dataset adds what its objects look like and what they are called.
//
// A scene is planned from (seed, split, index) alone. The plan decides the captions too, so that captions are had
// without drawing anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "silc/dataset.h"
#include "silc/random.h"

namespace silc::datasets {

// The splits "train", "validation", "test", "test_seen" and "test_unseen". With `held_out` some pairs of colour and
// class never occur in train and validation; test has all pairs alike, test_seen only those of training, test_unseen
// only the held-out ones.
enum class Split : uint8_t { train = 0, validation = 1, test = 2, test_seen = 3, test_unseen = 4 };

struct SceneSettings {
  Split split = Split::train;
  uint64_t seed = 0;
  int64_t size = 64;  // side of a picture in pixels
  int64_t examples = 0;
  int64_t min_objects = 1;
  int64_t max_objects = 3;  // at most kMostObjects
  int64_t captions = 5;     // a picture
  double colourless = 0.5;  // probability that a caption of the train split names no colours
  double mismatched = 0;    // probability that a picture of the train split has the captions of another
  bool busy_background = false;
  bool held_out = true;
  bool background_class = false;  // the background is the last class rather than ignored
};

inline constexpr int64_t kMostObjects = 4;

inline constexpr auto kSeed =
    integer_option("seed", 0, 0, 4294967295, "another number, another dataset of the same kind");
inline constexpr auto kSize = integer_option("size", 64, 16, 1024, "side of a picture in pixels");
inline constexpr auto kExamples =
    integer_option("examples", 0, 0, 1000000000, "pictures in the split; 0: 1 000 000 in train, 1000 in any other");
inline constexpr auto kMinObjects = integer_option("min_objects", 1, 1, kMostObjects, "objects in a picture at least");
inline constexpr auto kMaxObjects = integer_option("max_objects", 3, 1, kMostObjects, "objects in a picture at most");
inline constexpr auto kBackgroundStyle =
    choice_option("background_style", "plain", "plain|busy", "one tone, or stripes, checks and spots with noise");
inline constexpr auto kBackgroundLabel =
    choice_option("background_label", "ignore", "ignore|class",
                  "background pixels are left out of the mask, or are the last class, named \"background\"");
inline constexpr auto kColourless =
    number_option("colourless", 0.5, 0, 1,
                  "probability that a caption of the train split names no colours; other splits name them all");
inline constexpr auto kMismatched =
    number_option("mismatched", 0, 0, 1,
                  "probability that a picture of the train split has the captions of another, as on the web; in other "
                  "splits all captions are right");
inline constexpr auto kHeldOut = boolean_option(
    "held_out", true,
    "two colours of each class occur in the test splits only (test_unseen: only these, test_seen: none)");
inline constexpr auto kCaptions = integer_option("captions", 5, 1, 16, "captions a picture");

// Throws silc::Error for an unknown split and for options that do not go together. `dataset` is named in the message.
SceneSettings read_scene_settings(const DatasetContext& context, std::string_view dataset);

struct Colour {
  std::string_view name;
  std::array<uint8_t, 3> rgb;
};

// Far apart from one another and from every background, which are all nearly grey.
inline constexpr std::array<Colour, 8> kColours = {{{"red", {222, 36, 36}},
                                                    {"orange", {250, 140, 20}},
                                                    {"yellow", {245, 225, 45}},
                                                    {"green", {40, 165, 60}},
                                                    {"cyan", {45, 205, 225}},
                                                    {"blue", {45, 75, 225}},
                                                    {"purple", {135, 50, 185}},
                                                    {"pink", {250, 135, 195}}}};

// True for the two of eight colours in which a class is never seen in training.
bool is_held_out(int64_t label, int64_t colour);

// Whose captions the picture `index` of `count` has: its own, or with the given probability those of another.
int64_t captioned_scene(double mismatched, int64_t count, int64_t index, Random random);

// A class as it is called: "a pair of red trousers" has the unit "pair of".
struct Noun {
  std::string_view name;
  std::string_view plural;
  std::string_view unit = "";
  std::string_view units = "";
};

enum class Arrangement : uint8_t { single, row, column, grid };

enum class Background : uint8_t { dark, grey, white, striped, checked, spotted };

// "on a striped background"
std::string_view background_phrase(Background background);

// The two tones of a background, of which plain ones have the first.
struct Tones {
  std::array<int, 3> first{};  // red, green, blue; need not lie within 0 to 255
  std::array<int, 3> second{};
};

// Fills a square picture: a light that falls off to one side, and stripes, checks or spots with noise.
void paint_background(Image& image, Background background, const Tones& tones, Random& random);

// Lengths are fractions of the picture's side.
struct PlannedObject {
  int64_t label = 0;
  int64_t colour = 0;    // index into kColours
  double x = 0, y = 0;   // centre
  double side = 0;       // of the square that it is drawn into
  uint32_t variant = 0;  // 32 uniform bits: which of its class
  bool mirrored = false;
};

struct ScenePlan {
  Arrangement arrangement = Arrangement::single;
  Background background = Background::dark;
  std::size_t main = 0;                // the object that is drawn largest and gives the picture its label
  std::vector<PlannedObject> objects;  // as one reads them: left to right, top to bottom
};

ScenePlan plan_scene(const SceneSettings& settings, int64_t classes, int64_t index);

// How an object looks, [side, side] each.
struct Stencil {
  int64_t side = 0;
  std::vector<uint8_t> coverage;  // 255: nothing of the background is seen
  std::vector<uint8_t> shade;     // 255: the object's colour at full brightness
};

class SceneDataset : public Dataset {
 public:
  SceneDataset(const SceneSettings& settings, std::vector<Noun> nouns);

  [[nodiscard]] int64_t size() const override { return settings_.examples; }
  [[nodiscard]] Sample sample(int64_t index) const override;
  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override;
  [[nodiscard]] std::vector<std::string> classes() const override;
  [[nodiscard]] std::vector<std::string> prompt_templates() const override;

 protected:
  [[nodiscard]] const SceneSettings& settings() const { return settings_; }

 private:
  // Fills coverage and shade, which have stencil.side² elements and are zero.
  virtual void draw(const PlannedObject& object, Stencil& stencil) const = 0;

  [[nodiscard]] ScenePlan plan(int64_t index) const;
  [[nodiscard]] int64_t captioned(int64_t index) const;
  [[nodiscard]] std::vector<std::string> describe(const ScenePlan& plan, int64_t index) const;
  void check(int64_t index) const;

  SceneSettings settings_;
  std::vector<Noun> nouns_;
};

}  // namespace silc::datasets
