#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <regex>
#include <set>

#include "made_drawings.h"
#include "made_files.h"
#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/drawings.h"
#include "silc/utf8.h"
#include "tests/plugins/datasets/scene_checks.h"
#include "tests/plugins/declared.h"

extern "C" silc::Dataset* silc_dataset_openclipart(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Changes = std::map<std::string, OptionValue>;

constexpr int64_t kClasses = 63;
constexpr uint8_t kGreen = 40;  // of every stand-in

// Stand-ins for the drawings: a red that tells the class, on a transparent margin.
uint8_t red_of(int64_t label) { return static_cast<uint8_t>(3 * label); }

std::string stand_in(int64_t label) {
  constexpr int64_t kSide = 24;
  std::vector<uint8_t> rgba;
  for (int64_t y = 0; y < kSide; ++y) {
    for (int64_t x = 0; x < kSide; ++x) {
      const bool inside = x >= 4 && x < 20 && y >= 2 && y < 22;
      rgba.insert(rgba.end(), {red_of(label), kGreen, 0, static_cast<uint8_t>(inside ? 255 : 0)});
    }
  }
  return testing::png_of(kSide, kSide, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, rgba);
}

// One and several of each class.
const std::vector<std::string>& nouns() {
  static const std::vector<std::string> lines = datasets::built_in_list("classes/openclipart");
  return lines;
}

int64_t label_of(const std::string& name) {
  const auto found =
      std::find_if(nouns().begin(), nouns().end(), [&](const auto& line) { return line.starts_with(name + '\t'); });
  return found == nouns().end() ? kNoLabel : found - nouns().begin();
}

class OpenClipart : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<testing::MadeFolder>();
    testing::make_drawings(folder_->path(), [](const std::string& name) { return stand_in(label_of(name)); });
    for (int i = 0; i < 3; ++i) folder_->add_photo("photos/" + std::to_string(i) + ".jpg");
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::unique_ptr<Dataset> make(const std::string& split, Changes changes = {}) {
    if (!changes.contains("photos")) changes["photos"] = std::string("photos");
    const Options options = testing::options_of("openclipart", changes);
    return std::unique_ptr<Dataset>(silc_dataset_openclipart({options, split, folder_->path().string()}));
  }

  static std::string fault(const std::string& split, const Changes& changes) {
    try {
      make(split, changes);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static std::unique_ptr<testing::MadeFolder> folder_;
};

std::unique_ptr<testing::MadeFolder> OpenClipart::folder_;

const Changes kOne = {{"min_objects", int64_t{1}}, {"max_objects", int64_t{1}}};

// How many of each class a caption names, as a person would read it: longer names first.
std::map<int64_t, int> read_caption(std::string caption) {
  const std::map<std::string, int> numbers = {{"a", 1}, {"an", 1}, {"two", 2}, {"three", 3}, {"four", 4}, {"five", 5}};
  std::vector<std::pair<std::string, int64_t>> names;
  for (std::size_t label = 0; label < nouns().size(); ++label) {
    const std::string& line = nouns()[label];
    names.emplace_back(line.substr(0, line.find('\t')), static_cast<int64_t>(label));
    names.emplace_back(line.substr(line.find('\t') + 1), static_cast<int64_t>(label));
  }
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
  std::map<int64_t, int> things;
  for (const auto& [name, label] : names) {
    const std::regex pattern("\\b(an?|two|three|four|five) " + name + "\\b");
    for (std::smatch match; std::regex_search(caption, match, pattern);) {
      things[label] += numbers.at(match[1]);
      caption.replace(static_cast<std::size_t>(match.position()), static_cast<std::size_t>(match.length()), "#");
    }
  }
  return things;
}

TEST_F(OpenClipart, AreTheSameForEveryThread) {
  testing::check_purity(*make("train", {{"drawings", std::string("all")}, {"mismatched", 0.3}}), 60);
}

TEST_F(OpenClipart, HaveMasksBoxesAndLabelsThatAgree) {
  const auto dataset = make("test", {{"max_objects", int64_t{5}}});
  for (int64_t i = 0; i < 200; ++i) testing::check_sample(dataset->sample(i), 64, kClasses);
}

TEST_F(OpenClipart, AreMaskedWhereTheyAreSeen) {
  const auto dataset = make("validation", {{"max_objects", int64_t{5}}});
  for (int64_t i = 0; i < 50; ++i) {
    const Sample sample = dataset->sample(i);
    for (std::size_t p = 0; p < sample.mask.size(); ++p) {
      if (sample.mask[p] == kIgnoreLabel) continue;
      ASSERT_EQ(sample.image.rgb[3 * p], red_of(sample.mask[p]));
      ASSERT_EQ(sample.image.rgb[3 * p + 1], kGreen);
    }
  }
}

TEST_F(OpenClipart, AreNamedInTheCaptionsOfEvaluation) {
  const auto dataset = make("test", {{"max_objects", int64_t{5}}});
  for (int64_t i = 0; i < 200; ++i) {
    const Sample sample = dataset->sample(i);
    std::map<int64_t, int> seen;
    for (const Box& box : sample.boxes) ++seen[box.label];
    for (const std::string& caption : sample.captions) EXPECT_EQ(read_caption(caption), seen) << caption;
  }
}

TEST_F(OpenClipart, StandToEachOtherAsTheirCaptionsSay) {
  const auto dataset = make("test", {{"min_objects", int64_t{2}}, {"max_objects", int64_t{2}}});
  int relations = 0;
  for (int64_t i = 0; i < 200; ++i) {
    const Sample sample = dataset->sample(i);
    for (const std::string& caption : sample.captions) {
      std::smatch match;
      if (!std::regex_search(caption, match, std::regex("an? ([a-z ]+) (left of|right of|above|below) an? "))) continue;
      ++relations;
      const auto named = read_caption("a " + match[1].str());
      const bool first = named.begin()->first == sample.boxes[0].label;
      const Box& one = sample.boxes[first ? 0 : 1];
      const Box& other = sample.boxes[first ? 1 : 0];
      const float x = (one.x0 + one.x1) - (other.x0 + other.x1);
      const float y = (one.y0 + one.y1) - (other.y0 + other.y1);
      // Twice the rounding of centres to pixels.
      constexpr float kSlack = 4;
      const std::string word = match[2];
      const float behind = word == "left of" ? x : word == "right of" ? -x : word == "above" ? y : -y;
      EXPECT_LT(behind, kSlack) << caption;
    }
  }
  EXPECT_GT(relations, 100);
}

TEST_F(OpenClipart, HaveTheirAuthorsWordsWhereCaptionsAreFound) {
  Changes changes = kOne;
  changes["found"] = 1.0;
  const auto dataset = make("train", changes);
  std::set<std::string, std::less<>> texts;
  for (const datasets::Drawing& drawing : datasets::drawings())
    for (const std::string_view text : {drawing.title, drawing.keywords, drawing.description}) texts.emplace(text);
  int titles = 0, all = 0;
  for (int64_t i = 0; i < 200; ++i) {
    for (const std::string& caption : dataset->captions(i)) {
      EXPECT_FALSE(caption.empty());
      ++all;
      titles += texts.contains(caption) ? 1 : 0;
    }
  }
  // The others are a title with its folder, or the file's name.
  EXPECT_GT(titles, all * 3 / 4);
  EXPECT_LT(titles, all);
}

TEST_F(OpenClipart, AreFoundInTrainingAlone) {
  Changes found = kOne;
  found["found"] = 1.0;
  EXPECT_EQ(make("test", found)->captions(3), make("test", kOne)->captions(3));
}

TEST_F(OpenClipart, AreAllButOnePassedOverWhereNoneIsNamed) {
  const auto dataset =
      make("train", {{"found", 0.0}, {"unnamed", 1.0}, {"min_objects", int64_t{3}}, {"max_objects", int64_t{3}}});
  for (int64_t i = 0; i < 50; ++i) {
    const Sample sample = dataset->sample(i);
    for (const std::string& caption : sample.captions)
      EXPECT_EQ(read_caption(caption), (std::map<int64_t, int>{{sample.label, 1}})) << caption;
  }
}

TEST_F(OpenClipart, HaveCaptionsOfOthersWhereTheyAreMismatched) {
  Changes changes = kOne;
  changes["found"] = 0.0;
  changes["mismatched"] = 1.0;
  changes["examples"] = int64_t{2};
  const auto dataset = make("train", changes);
  for (int64_t i : {0, 1}) {
    EXPECT_THAT(read_caption(dataset->captions(i).front()),
                ::testing::ElementsAre(std::pair{dataset->sample(1 - i).label, 1}));
  }
}

TEST_F(OpenClipart, WithoutAClassHaveNoLabelMaskOrBox) {
  Changes changes = kOne;
  changes["drawings"] = std::string("all");
  const auto dataset = make("train", changes);
  int without = 0;
  for (int64_t i = 0; i < 200; ++i) {
    const Sample sample = dataset->sample(i);
    if (sample.label != kNoLabel) continue;
    ++without;
    EXPECT_TRUE(sample.boxes.empty());
    EXPECT_THAT(sample.mask, ::testing::Each(kIgnoreLabel));
    for (const std::string& caption : sample.captions) EXPECT_FALSE(caption.empty());
  }
  EXPECT_GT(without, 60);
  EXPECT_LT(without, 140);
}

TEST_F(OpenClipart, LieOnTheBackgroundThatIsAskedFor) {
  Changes changes = kOne;
  for (const auto& [background, words] : std::map<std::string, std::string>{
           {"plain", "white|grey|light blue|light green|pink|beige|lilac"}, {"textured", "striped|checked|spotted"}}) {
    changes["background"] = background;
    const auto dataset = make("test", changes);
    int told = 0;
    for (int64_t i = 0; i < 100; ++i) {
      const std::string caption = dataset->captions(i).front();
      if (caption.find("background") == std::string::npos) continue;
      ++told;
      EXPECT_TRUE(std::regex_search(caption, std::regex("on a (" + words + ") background$"))) << caption;
    }
    EXPECT_GT(told, 10);
  }
}

TEST_F(OpenClipart, HaveTheBackgroundAsAClassIfAsked) {
  const auto dataset = make("test", {{"background_label", std::string("class")}});
  EXPECT_EQ(dataset->classes().size(), static_cast<std::size_t>(kClasses + 1));
  EXPECT_EQ(dataset->classes().back(), "background");
  EXPECT_THAT(dataset->sample(0).mask, AllOf(Contains(kClasses), ::testing::Not(Contains(kIgnoreLabel))));
}

TEST_F(OpenClipart, AreReportedMissingWithTheRemedy) {
  EXPECT_THAT(fault("test", {{"folder", std::string("elsewhere")}}),
              AllOf(HasSubstr("elsewhere: there is no such folder"), HasSubstr("apt-get install openclipart-png")));
  EXPECT_THAT(fault("test", {{"folder", std::string("photos")}}),
              AllOf(HasSubstr(".png: is not there, and "), HasSubstr("apt-get install openclipart-png")));
  EXPECT_THAT(fault("test", {{"photos", std::string("openclipart/png/animals/none")}}), HasSubstr("cannot be listed"));
  ::setenv("XDG_DATA_DIRS", folder_->path().c_str(), 1);
  EXPECT_THAT(fault("test", {{"photos", std::string()}}),
              AllOf(HasSubstr("Bridge_by_Sander_Klootwijk.jpg was not found"),
                    HasSubstr("apt-get install lomiri-wallpapers-16.04")));
  EXPECT_EQ(fault("test", {{"photos", std::string()}, {"background", std::string("plain")}}), "");
  testing::make_photographs(folder_->path(), testing::stored_photo());
  EXPECT_EQ(fault("test", {{"photos", std::string()}}), "");
  ::unsetenv("XDG_DATA_DIRS");
}

TEST_F(OpenClipart, RefusesSplitsAndNumbersThatThereAreNot) {
  EXPECT_THAT(fault("test_seen", {}), HasSubstr("has no split \"test_seen\"; it has train, validation, test"));
  EXPECT_THAT(fault("test", {{"min_objects", int64_t{4}}}), HasSubstr("min_objects = 4 is more than max_objects = 3"));
}

TEST_F(OpenClipart, HaveAnotherFingerprintWhenADrawingChanges) {
  const auto dataset = make("test");
  const std::string before = dataset->fingerprint();
  const std::string file = "openclipart/png/" + std::string(datasets::drawings().front().path) + ".png";
  std::filesystem::remove(folder_->path() / file);
  folder_->add(file, stand_in(kNoLabel) + "changed");
  EXPECT_NE(dataset->fingerprint(), before);
}

// Properties of the table that the library has.

TEST(Drawings, OfOneGroupAreOfOneSplit) {
  std::map<int64_t, std::set<std::string_view>> splits;
  std::set<std::string_view> paths;
  for (const datasets::Drawing& drawing : datasets::drawings()) {
    EXPECT_TRUE(paths.insert(drawing.path).second) << drawing.path;
    if (drawing.split != "none") splits[drawing.group].insert(drawing.split);
  }
  for (const auto& [group, names] : splits) EXPECT_EQ(names.size(), 1) << group;
}

TEST(Drawings, HaveEveryClassInEverySplit) {
  std::map<std::string_view, std::set<int64_t>> labels;
  for (const datasets::Drawing& drawing : datasets::drawings()) {
    EXPECT_THAT(drawing.split, AnyOf("train", "validation", "test", "none"));
    EXPECT_GE(drawing.label, kNoLabel);
    if (drawing.label != kNoLabel) labels[drawing.split].insert(drawing.label);
  }
  for (const char* split : {"train", "validation", "test"}) EXPECT_EQ(labels[split].size(), kClasses) << split;
}

TEST(Drawings, AreDescribedInUtf8) {
  for (const datasets::Drawing& drawing : datasets::drawings())
    for (const std::string_view text : {drawing.path, drawing.title, drawing.keywords, drawing.description})
      EXPECT_TRUE(is_utf8(text)) << text;
}

}  // namespace
}  // namespace silc
