#include "plugins/datasets/scene.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "plugins/datasets/wording.h"
#include "silc/error.h"
#include "silc/random.h"

namespace silc::datasets {
namespace {

// Uses of the seed. Each split has its own numbers for each.
enum class Use : uint32_t { layout = 0, background = 1, wording = 2, mismatch = 3 };

Random random_for(const SceneSettings& settings, Use use, int64_t index, uint32_t step = 0) {
  const uint32_t stream = static_cast<uint32_t>(settings.split) * 8 + static_cast<uint32_t>(use);
  return Random(settings.seed, stream, static_cast<uint64_t>(index), step);
}

Split parse_split(std::string_view name, std::string_view dataset) {
  constexpr std::array<std::string_view, 5> kNames = {"train", "validation", "test", "test_seen", "test_unseen"};
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Split>(i);
  throw Error(fmt::format("dataset \"{}\" has no split \"{}\"; it has {}", dataset, name, fmt::join(kNames, ", ")));
}

// Whether a pair of colour and class may occur in the split.
bool is_allowed(const SceneSettings& settings, int64_t label, int64_t colour) {
  if (!settings.held_out || settings.split == Split::test) return true;
  return is_held_out(label, colour) == (settings.split == Split::test_unseen);
}

int64_t draw_colour(const SceneSettings& settings, int64_t label, Random& random) {
  std::array<int64_t, kColours.size()> allowed{};
  uint32_t count = 0;
  for (int64_t colour = 0; colour < static_cast<int64_t>(kColours.size()); ++colour)
    if (is_allowed(settings, label, colour)) allowed[count++] = colour;
  return allowed[random.below(count)];
}

Background draw_background(const SceneSettings& settings, Random& random) {
  return static_cast<Background>(random.below(3) + (settings.busy_background ? 3 : 0));
}

Arrangement draw_arrangement(int64_t count, Random& random) {
  if (count == 1) return Arrangement::single;
  if (count == 4) return Arrangement::grid;
  if (count == 3) return Arrangement::row;
  return random.uniform() < 0.7 ? Arrangement::row : Arrangement::column;
}

// A centre near `wanted` that keeps the object inside the picture.
double inside(double wanted, double side) { return std::clamp(wanted, side / 2, 1 - side / 2); }

// Ranges leave every object a place of its own: the transparent rims may overlap, the objects hardly do.
void place(ScenePlan& plan, Random& random) {
  struct Range {
    double low, high;
  };
  const std::size_t count = plan.objects.size();
  constexpr std::array<Range, 4> kMainSides = {{{0.45, 0.85}, {0.52, 0.62}, {0.42, 0.48}, {0.46, 0.54}}};
  constexpr std::array<Range, 4> kOtherSides = {{{0.45, 0.85}, {0.38, 0.48}, {0.32, 0.39}, {0.36, 0.44}}};
  for (std::size_t i = 0; i < count; ++i) {
    PlannedObject& object = plan.objects[i];
    const Range range = (i == plan.main ? kMainSides : kOtherSides)[count - 1];
    object.side = random.uniform(range.low, range.high);
    const double along = (static_cast<double>(i) + 0.5) / static_cast<double>(count) + random.uniform(-0.03, 0.03);
    const double across = random.uniform(object.side / 2, 1 - object.side / 2);
    switch (plan.arrangement) {
      case Arrangement::single:
        object.x = random.uniform(object.side / 2, 1 - object.side / 2);
        object.y = across;
        break;
      case Arrangement::row:
        object.x = inside(along, object.side);
        object.y = across;
        break;
      case Arrangement::column:
        object.x = across;
        object.y = inside(along, object.side);
        break;
      case Arrangement::grid:
        object.x = inside((i % 2 == 0 ? 0.25 : 0.75) + random.uniform(-0.03, 0.03), object.side);
        object.y = inside((i < 2 ? 0.25 : 0.75) + random.uniform(-0.03, 0.03), object.side);
        break;
    }
  }
}

// ---- captions

void append_words(std::string& text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (word.empty()) continue;
    if (!text.empty()) text += ' ';
    text += word;
  }
}

// Whether two objects are the same thing in words.
bool alike(const PlannedObject& a, const PlannedObject& b, bool colours) {
  return a.label == b.label && (!colours || a.colour == b.colour);
}

// "a pair of red trousers", "two red dresses", "an orange bag".
std::string phrase(const std::vector<Noun>& nouns, const PlannedObject& object, bool colours, int64_t count) {
  const Noun& noun = nouns[static_cast<std::size_t>(object.label)];
  const std::string_view colour = colours ? kColours[static_cast<std::size_t>(object.colour)].name : "";
  std::string text;
  if (count > 1) {
    append_words(text, {number_word(count), noun.units, colour, noun.plural});
  } else {
    const std::string_view first = !noun.unit.empty() ? noun.unit : !colour.empty() ? colour : noun.name;
    append_words(text, {article(first), noun.unit, colour, noun.name});
  }
  return text;
}

// Objects first..last in words, neighbours that are alike counted together: "a bag, two dresses and a shoe".
std::string list(const std::vector<Noun>& nouns, const ScenePlan& plan, std::size_t first, std::size_t last,
                 bool colours) {
  std::vector<std::string> phrases;
  for (std::size_t i = first; i < last;) {
    std::size_t end = i + 1;
    while (end < last && alike(plan.objects[i], plan.objects[end], colours)) ++end;
    phrases.push_back(phrase(nouns, plan.objects[i], colours, static_cast<int64_t>(end - i)));
    i = end;
  }
  return enumerated(phrases);
}

// The middle one of three by its neighbours: "a bag between a dress and a shoe", "a bag between two shoes".
std::string between(const std::vector<Noun>& nouns, const ScenePlan& plan, bool colours) {
  const PlannedObject& left = plan.objects[0];
  const PlannedObject& middle = plan.objects[1];
  const PlannedObject& right = plan.objects[2];
  if (alike(left, middle, colours) || alike(middle, right, colours))
    return list(nouns, plan, 0, 3, colours) + " from left to right";
  const std::string neighbours = alike(left, right, colours)
                                     ? phrase(nouns, right, colours, 2)
                                     : phrase(nouns, left, colours, 1) + " and " + phrase(nouns, right, colours, 1);
  return fmt::format("{} between {}", phrase(nouns, middle, colours, 1), neighbours);
}

// The objects with where they stand: "a red dress left of a blue bag".
std::string relation(const std::vector<Noun>& nouns, const ScenePlan& plan, bool colours, Random& random) {
  const std::size_t count = plan.objects.size();
  const bool turned = random.uniform() < 0.5;
  const auto part = [&](std::size_t first, std::size_t last) { return list(nouns, plan, first, last, colours); };
  switch (plan.arrangement) {
    case Arrangement::single:
      return fmt::format("{} {}", part(0, 1), place_in_picture(plan.objects[0].x, plan.objects[0].y));
    case Arrangement::row:
      if (count == 2 && alike(plan.objects[0], plan.objects[1], colours)) return part(0, 2) + " side by side";
      if (count == 2)
        return turned ? fmt::format("{} right of {}", part(1, 2), part(0, 1))
                      : fmt::format("{} left of {}", part(0, 1), part(1, 2));
      return turned ? between(nouns, plan, colours) : part(0, 3) + " from left to right";
    case Arrangement::column:
      if (alike(plan.objects[0], plan.objects[1], colours)) return part(0, 2) + " one above the other";
      return turned ? fmt::format("{} below {}", part(1, 2), part(0, 1))
                    : fmt::format("{} above {}", part(0, 1), part(1, 2));
    case Arrangement::grid:
      return turned ? fmt::format("{} below {}", part(2, 4), part(0, 2))
                    : fmt::format("{} above {}", part(0, 2), part(2, 4));
  }
  throw std::logic_error("unknown arrangement");
}

std::string caption(const SceneSettings& settings, const std::vector<Noun>& nouns, const ScenePlan& plan,
                    Random random) {
  const bool colours = settings.split != Split::train || random.uniform() >= settings.colourless;
  const double opening = random.uniform();
  std::string text = opening < 0.3 ? "a photo of " : opening < 0.45 ? "a picture of " : "";
  text += random.uniform() < 0.65 ? relation(nouns, plan, colours, random)
                                  : list(nouns, plan, 0, plan.objects.size(), colours);
  if (random.uniform() < 0.25) append_words(text, {background_phrase(plan.background)});
  return text;
}

// ---- pictures

// Nearly grey.
Tones draw_tones(Background background, Random& random) {
  Tones tones;
  const bool busy = background >= Background::striped;
  const int tint = busy ? 14 : 6;
  int level = 0;
  int contrast = 0;
  switch (background) {
    case Background::dark:
      level = 25 + static_cast<int>(random.below(30));
      break;
    case Background::grey:
      level = 115 + static_cast<int>(random.below(30));
      break;
    case Background::white:
      level = 215 + static_cast<int>(random.below(25));
      break;
    default:
      level = 40 + static_cast<int>(random.below(130));
      contrast = 30 + static_cast<int>(random.below(35));
  }
  for (std::size_t c = 0; c < 3; ++c) {
    tones.first[c] = level + static_cast<int>(random.below(static_cast<uint32_t>(2 * tint + 1))) - tint;
    tones.second[c] = level + contrast + static_cast<int>(random.below(static_cast<uint32_t>(2 * tint + 1))) - tint;
  }
  if (!busy) tones.second = tones.first;
  return tones;
}

uint8_t to_byte(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

// Draws a stencil over the picture, marks its class in the mask, and adds its box: of the object itself, whether or not
// a later one covers it.
void paint_object(Sample& sample, const PlannedObject& object, const Stencil& stencil) {
  constexpr int kSolid = 128;  // from half coverage on a pixel belongs to the object
  const int64_t size = sample.image.width;
  const double extent = static_cast<double>(size);
  const auto left = static_cast<int64_t>(std::lround(object.x * extent - static_cast<double>(stencil.side) / 2));
  const auto top = static_cast<int64_t>(std::lround(object.y * extent - static_cast<double>(stencil.side) / 2));
  const auto& rgb = kColours[static_cast<std::size_t>(object.colour)].rgb;
  int64_t x0 = size, y0 = size, x1 = 0, y1 = 0;
  for (int64_t row = std::max<int64_t>(0, -top); row < std::min(stencil.side, size - top); ++row) {
    for (int64_t column = std::max<int64_t>(0, -left); column < std::min(stencil.side, size - left); ++column) {
      const auto from = static_cast<std::size_t>(row * stencil.side + column);
      const int coverage = stencil.coverage[from];
      if (coverage == 0) continue;
      const int64_t x = left + column;
      const int64_t y = top + row;
      const auto to = static_cast<std::size_t>(y * size + x);
      for (std::size_t c = 0; c < 3; ++c) {
        uint8_t& value = sample.image.rgb[to * 3 + c];
        const int painted = rgb[c] * stencil.shade[from] / 255;
        value = static_cast<uint8_t>((painted * coverage + value * (255 - coverage) + 127) / 255);
      }
      if (coverage < kSolid) continue;
      sample.mask[to] = static_cast<uint8_t>(object.label);
      x0 = std::min(x0, x);
      y0 = std::min(y0, y);
      x1 = std::max(x1, x + 1);
      y1 = std::max(y1, y + 1);
    }
  }
  if (x0 < x1)
    sample.boxes.push_back(
        {static_cast<float>(x0), static_cast<float>(y0), static_cast<float>(x1), static_cast<float>(y1), object.label});
}

}  // namespace

std::string_view background_phrase(Background background) {
  constexpr std::array<std::string_view, 6> kTexts = {"on a dark background",    "on a grey background",
                                                      "on a white background",   "on a striped background",
                                                      "on a checked background", "on a spotted background"};
  return kTexts[static_cast<std::size_t>(background)];
}

void paint_background(Image& image, Background background, const Tones& tones, Random& random) {
  const double side = static_cast<double>(image.width);
  const double period = side / random.uniform(3.0, 7.0);
  const double angle = random.uniform(0, std::numbers::pi);
  const double across_x = std::cos(angle) / period;
  const double across_y = std::sin(angle) / period;
  // A light that falls off to one side.
  const double slope_x = random.uniform(-10, 10) / side;
  const double slope_y = random.uniform(-10, 10) / side;
  const bool busy = background >= Background::striped;

  std::size_t at = 0;
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      const double u = across_x * static_cast<double>(x) + across_y * static_cast<double>(y) + 64;
      const double v = across_x * static_cast<double>(y) - across_y * static_cast<double>(x) + 64;
      bool second = false;
      if (background == Background::striped) {
        second = u - std::floor(u) < 0.5;
      } else if (background == Background::checked) {
        second = (static_cast<int64_t>(2 * u) + static_cast<int64_t>(2 * v)) % 2 == 0;
      } else if (background == Background::spotted) {
        const double du = u - std::floor(u) - 0.5;
        const double dv = v - std::floor(v) - 0.5;
        second = du * du + dv * dv < 0.09;
      }
      const auto light = static_cast<int>(slope_x * (static_cast<double>(x) - side / 2) +
                                          slope_y * (static_cast<double>(y) - side / 2));
      const int noise = busy ? static_cast<int>(random.below(17)) - 8 : 0;
      const auto& tone = second ? tones.second : tones.first;
      for (std::size_t c = 0; c < 3; ++c) image.rgb[at++] = to_byte(tone[c] + light + noise);
    }
  }
}

SceneSettings read_scene_settings(const DatasetContext& context, std::string_view dataset) {
  const Options& options = context.options;
  SceneSettings settings;
  settings.split = parse_split(context.split, dataset);
  settings.seed = static_cast<uint64_t>(options[kSeed]);
  settings.size = options[kSize];
  settings.examples = options[kExamples];
  if (settings.examples == 0) settings.examples = settings.split == Split::train ? 1'000'000 : 1'000;
  settings.min_objects = options[kMinObjects];
  settings.max_objects = options[kMaxObjects];
  settings.captions = options[kCaptions];
  settings.colourless = options[kColourless];
  settings.mismatched = options[kMismatched];
  settings.busy_background = options[kBackgroundStyle] == "busy";
  settings.held_out = options[kHeldOut];
  settings.background_class = options[kBackgroundLabel] == "class";
  if (settings.min_objects > settings.max_objects)
    throw Error(fmt::format("dataset \"{}\": min_objects = {} is more than max_objects = {}", dataset,
                            settings.min_objects, settings.max_objects));
  if (settings.split == Split::test_unseen && !settings.held_out)
    throw Error(fmt::format("dataset \"{}\": the split test_unseen is empty with held_out = false", dataset));
  return settings;
}

bool is_held_out(int64_t label, int64_t colour) {
  constexpr auto kCount = static_cast<int64_t>(kColours.size());
  return colour == (3 * label + 1) % kCount || colour == (3 * label + 4) % kCount;
}

int64_t captioned_scene(double mismatched, int64_t count, int64_t index, Random random) {
  if (mismatched == 0 || count == 1 || random.uniform() >= mismatched) return index;
  const int64_t other = random.below(static_cast<uint32_t>(count - 1));
  return other < index ? other : other + 1;
}

ScenePlan plan_scene(const SceneSettings& settings, int64_t classes, int64_t index) {
  Random random = random_for(settings, Use::layout, index);
  ScenePlan plan;
  plan.background = draw_background(settings, random);
  const int64_t count =
      settings.min_objects + random.below(static_cast<uint32_t>(settings.max_objects - settings.min_objects + 1));
  plan.arrangement = draw_arrangement(count, random);
  plan.main = random.below(static_cast<uint32_t>(count));
  plan.objects.resize(static_cast<std::size_t>(count));
  for (PlannedObject& object : plan.objects) {
    object.label = random.below(static_cast<uint32_t>(classes));
    object.colour = draw_colour(settings, object.label, random);
    object.variant = random.bits();
    object.mirrored = random.below(2) == 1;
  }
  place(plan, random);
  return plan;
}

SceneDataset::SceneDataset(const SceneSettings& settings, std::vector<Noun> nouns)
    : settings_(settings), nouns_(std::move(nouns)) {}

void SceneDataset::check(int64_t index) const {
  if (index < 0 || index >= settings_.examples)
    throw std::out_of_range(fmt::format("sample {} of {}", index, settings_.examples));
}

Sample SceneDataset::sample(int64_t index) const {
  check(index);
  const ScenePlan plan = this->plan(index);
  const auto pixels = static_cast<std::size_t>(settings_.size * settings_.size);
  Sample sample;
  sample.image = {settings_.size, settings_.size, std::vector<uint8_t>(pixels * 3)};
  sample.mask.assign(pixels, settings_.background_class ? static_cast<uint8_t>(nouns_.size()) : kIgnoreLabel);
  sample.label = plan.objects[plan.main].label;
  Random random = random_for(settings_, Use::background, index);
  paint_background(sample.image, plan.background, draw_tones(plan.background, random), random);
  Stencil stencil;
  for (const PlannedObject& object : plan.objects) {
    stencil.side = std::lround(object.side * static_cast<double>(settings_.size));
    const auto area = static_cast<std::size_t>(stencil.side * stencil.side);
    stencil.coverage.assign(area, 0);
    stencil.shade.assign(area, 0);
    draw(object, stencil);
    paint_object(sample, object, stencil);
  }
  const int64_t described = captioned(index);
  sample.captions = describe(described == index ? plan : this->plan(described), index);
  return sample;
}

ScenePlan SceneDataset::plan(int64_t index) const {
  return plan_scene(settings_, static_cast<int64_t>(nouns_.size()), index);
}

// The scene that the captions of a picture describe, the same in every epoch.
int64_t SceneDataset::captioned(int64_t index) const {
  return captioned_scene(settings_.split == Split::train ? settings_.mismatched : 0, settings_.examples, index,
                         random_for(settings_, Use::mismatch, index));
}

std::vector<std::string> SceneDataset::captions(int64_t index) const {
  check(index);
  return describe(plan(captioned(index)), index);
}

std::vector<std::string> SceneDataset::describe(const ScenePlan& plan, int64_t index) const {
  std::vector<std::string> captions;
  captions.reserve(static_cast<std::size_t>(settings_.captions));
  for (int64_t i = 0; i < settings_.captions; ++i)
    captions.push_back(
        caption(settings_, nouns_, plan, random_for(settings_, Use::wording, index, static_cast<uint32_t>(i))));
  return captions;
}

std::vector<std::string> SceneDataset::classes() const {
  std::vector<std::string> names;
  for (const Noun& noun : nouns_) names.emplace_back(noun.name);
  if (settings_.background_class) names.emplace_back("background");
  return names;
}

std::vector<std::string> SceneDataset::prompt_templates() const {
  return {"a photo of a {}", "a picture of a {}", "a {}"};
}

}  // namespace silc::datasets
