#include "registry/gallery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <fstream>
#include <span>

#include "files/durable_file.h"
#include "files/run_folder.h"
#include "files/safetensors.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

template <class Number>
TensorView tensor(const char* dtype, std::vector<int64_t> shape, const std::vector<Number>& numbers) {
  return {.dtype = dtype, .shape = std::move(shape), .bytes = std::as_bytes(std::span(numbers))};
}

constexpr const char* kPixel = "data:image/webp;base64,UklGRg==";

class GalleryOfRows : public ::testing::Test {
 protected:
  GalleryCell cell(const std::string& row, int64_t seed) {
    GalleryCell cell{.row = row, .seed = seed, .folder = folder_ / (row + std::to_string(seed))};
    std::filesystem::create_directories(RunFolder{cell.folder}.samples());
    return cell;
  }

  static void write(const GalleryCell& cell, const std::string& evaluation,
                    const std::map<std::string, TensorView>& tensors, const std::string& dataset = "scenes") {
    write_safetensors(RunFolder{cell.folder}.samples() / (evaluation + "-student.safetensors"), tensors,
                      {{"evaluator", evaluation}, {"dataset", dataset}, {"split", "test"}, {"weights", "student"}});
  }

  static void classified(const GalleryCell& cell, const std::vector<int64_t>& label,
                         const std::vector<int64_t>& prediction, const std::string& dataset = "scenes") {
    std::vector<float> correct;
    for (std::size_t i = 0; i < label.size(); ++i) correct.push_back(label[i] == prediction[i] ? 1.F : 0.F);
    const auto n = static_cast<int64_t>(label.size());
    write(cell, "zero_shot",
          {{"acc1", tensor("F32", {n}, correct)},
           {"label", tensor("I64", {n}, label)},
           {"prediction", tensor("I64", {n}, prediction)}},
          dataset);
  }

  // A gallery that answers the wish of a cell.
  static Json answer(const Json& wish) {
    Json gallery = {{"format", 1},
                    {"checkpoint", "step"},
                    {"evaluation", wish["name"]},
                    {"samples", wish["samples"]},
                    {"classes", {"shirt", "<b>bag</b>", "shoe"}},
                    {"probability", "softmax"},
                    {"pictures", Json::array()},
                    {"thumbnails", Json::object()},
                    {"captions", Json::array()},
                    {"maps", Json::object()}};
    for (const Json& index : wish["pictures"])
      gallery["pictures"].push_back({{"index", index},
                                     {"width", 8},
                                     {"height", 8},
                                     {"picture", kPixel},
                                     {"label", 1},
                                     {"captions", {"a bag"}},
                                     {"guesses", {{{"class", 1}, {"score", 0.25}, {"p", 0.875}}}}});
    for (const Json& index : wish["thumbnails"]) gallery["thumbnails"][std::to_string(index.get<int64_t>())] = kPixel;
    for (const Json& caption : wish["captions"])
      gallery["captions"].push_back({caption[0], caption[1], "caption " + caption.dump()});
    if (!wish["maps"].empty())
      gallery["maps"] = {{"words", {"shirt", "bag", "shoe", "red"}},
                         {"classes", 3},
                         {"pictures", wish["maps"]},
                         {"grid", {2, 2}},
                         {"terms", 1},
                         {"scales", {0.01}},
                         {"patches", "AAAA"},
                         {"texts", "AAAA"},
                         {"error", 0.001}};
    return gallery;
  }

  static void write_gallery(const std::string& folder, const std::string& evaluation, const std::string& content) {
    std::filesystem::create_directories(RunFolder{folder}.gallery());
    std::ofstream(RunFolder{folder}.gallery() / (evaluation + "-student.json")) << content;
  }

  // As the engine would.
  static void fulfil(const Json& wishes) {
    for (const Json& cell : wishes["cells"])
      for (const Json& wish : cell["evaluations"]) write_gallery(cell["folder"], wish["name"], answer(wish).dump());
  }

  TemporaryFolder folder_;
};

TEST_F(GalleryOfRows, TellsRecallOfClassesAndWhatIsTakenForWhat) {
  const GalleryCell first = cell("CLIP", 0), second = cell("CLIP", 1);
  classified(first, {0, 0, 1, 2}, {0, 1, 1, 0});
  classified(second, {0, 0, 1, 2}, {0, 0, 1, 1});
  const Json page = Gallery({.cells = {first, second}, .baseline = "", .words = {}}).page();
  const Json& evaluation = page["evaluations"][0];
  EXPECT_EQ(evaluation["kind"], "classification");
  EXPECT_EQ(evaluation["class_results"][0], (Json{0.75, 1.0, 0.0}));
  EXPECT_EQ(evaluation["class_sizes"], (Json{2, 1, 1}));
  // Truth, prediction, count.
  EXPECT_EQ(evaluation["confusions"][0], (Json{0, 0, 3, 0, 1, 1, 1, 1, 2, 2, 0, 1, 2, 1, 1}));
  EXPECT_TRUE(evaluation["classes"].is_null()) << "only a gallery knows their names";
}

TEST_F(GalleryOfRows, TellsIntersectionOverUnionOfClasses) {
  const GalleryCell one = cell("CLIP", 0);
  write(one, "segmentation",
        {{"intersection", tensor("I64", {2, 3}, std::vector<int64_t>{2, 2, 0, 0, 3, 0})},
         {"union", tensor("I64", {2, 3}, std::vector<int64_t>{2, 2, 0, 1, 4, 0})},
         {"picture_miou", tensor("F32", {2}, std::vector<float>{1, 0.375})}});
  const Json page = Gallery({.cells = {one}, .baseline = "", .words = {}}).page();
  EXPECT_EQ(page["evaluations"][0]["class_results"][0], (Json{0.6667, 0.8333, nullptr}));
}

TEST_F(GalleryOfRows, TellsForWhichClassPixelsAreTaken) {
  const GalleryCell first = cell("CLIP", 0), second = cell("CLIP", 1), old = cell("old", 0);
  const std::vector<int64_t> hits{2, 2, 3, 0}, join{3, 4, 4, 1};
  const std::vector<float> miou{0.5, 0.375};
  const std::vector<int64_t> pixels{int64_t{1} << 40, 1, 0, 4};
  const std::map<std::string, TensorView> scores = {{"intersection", tensor("I64", {2, 2}, hits)},
                                                    {"union", tensor("I64", {2, 2}, join)},
                                                    {"picture_miou", tensor("F32", {2}, miou)}};
  std::map<std::string, TensorView> confused = scores;
  confused.emplace("confusion", tensor("I64", {2, 2}, pixels));
  write(first, "segmentation", confused);
  write(second, "segmentation", confused);
  write(old, "segmentation", scores);
  const Json page = Gallery({.cells = {first, second, old}, .baseline = "", .words = {}}).page();
  const Json& evaluation = page["evaluations"][0];
  EXPECT_EQ(evaluation["confusions"][0], (Json{0, 0, int64_t{1} << 41, 0, 1, 2, 1, 1, 8}));
  EXPECT_TRUE(evaluation["confusions"][1].is_null()) << "evaluated before there was a matrix";
  EXPECT_EQ(evaluation["class_sizes"], (Json{(int64_t{1} << 40) + 1, 4})) << "of one seed: all have the same pixels";
}

TEST_F(GalleryOfRows, ChoosesTheSamePicturesForAllRows) {
  const GalleryCell base = cell("CLIP", 0), other = cell("SILC", 0);
  classified(base, {0, 1, 2}, {0, 0, 1});
  classified(other, {0, 1, 2}, {0, 1, 0});
  const Gallery gallery({.cells = {base, other}, .baseline = "CLIP", .words = {}});
  const Json wishes = gallery.wishes();
  ASSERT_EQ(wishes["cells"].size(), 2U);
  EXPECT_EQ(wishes["cells"][0]["evaluations"], wishes["cells"][1]["evaluations"]);
  EXPECT_EQ(wishes["cells"][0]["evaluations"][0]["pictures"], (Json{1, 2, 0}));
  const Json page = gallery.page()["evaluations"][0];
  EXPECT_EQ(page["chosen"][0], (Json{{"index", 1}, {"group", "gained"}}));
  EXPECT_EQ(page["scores"][0][0], (Json{{"class", 0}, {"score", 0.0}}));
  EXPECT_EQ(page["scores"][1][0], (Json{{"class", 1}, {"score", 1.0}}));
}

TEST_F(GalleryOfRows, ShowsTheSeedThatMostRowsHave) {
  const GalleryCell base0 = cell("CLIP", 0), base1 = cell("CLIP", 1), other = cell("SILC", 1);
  for (const auto& each : {base0, base1, other}) classified(each, {0, 1}, {0, 0});
  const Gallery gallery({.cells = {base0, base1, other}, .baseline = "CLIP", .words = {}});
  EXPECT_EQ(gallery.wishes()["cells"][0]["folder"], base1.folder.string());
  EXPECT_EQ(gallery.page()["rows"][0]["seed"], 1);
  EXPECT_EQ(gallery.page()["rows"][0]["seeds"], 2);
}

TEST_F(GalleryOfRows, WishesForNothingWhereEverythingIsThere) {
  const GalleryCell base = cell("CLIP", 0), other = cell("SILC", 0);
  classified(base, {0, 1, 2}, {0, 0, 1});
  classified(other, {0, 1, 2}, {0, 1, 0});
  const GalleryRequest request{.cells = {base, other}, .baseline = "CLIP", .words = {"red"}};
  fulfil(Gallery(request).wishes());
  const Gallery gallery(request);
  EXPECT_TRUE(gallery.wishes()["cells"].empty());
  const Json page = gallery.page();
  EXPECT_TRUE(page["notes"].empty()) << page["notes"];
  const Json& evaluation = page["evaluations"][0];
  EXPECT_EQ(evaluation["pictures"].size(), 3U) << "once, not once a row";
  EXPECT_EQ(evaluation["pictures"][0]["src"], kPixel);
  EXPECT_EQ(evaluation["shown"][1][0]["guesses"], (Json::array({{1, 0.25, 0.875}})));
  EXPECT_EQ(evaluation["probability"], (Json{"softmax", "softmax"}));
  EXPECT_EQ(evaluation["classes"][1], "<b>bag</b>") << "escaping is the page's";
  EXPECT_EQ(evaluation["maps"]["rows"].size(), 2U);
  EXPECT_EQ(evaluation["maps"]["words"], (Json{"shirt", "bag", "shoe", "red"}));
}

TEST_F(GalleryOfRows, WishesAnewForAnotherWord) {
  const GalleryCell base = cell("CLIP", 0);
  classified(base, {0, 1, 2}, {0, 0, 1});
  fulfil(Gallery({.cells = {base}, .baseline = "", .words = {}}).wishes());
  EXPECT_TRUE(Gallery({.cells = {base}, .baseline = "", .words = {"red"}}).wishes()["cells"].empty());
  EXPECT_EQ(Gallery({.cells = {base}, .baseline = "", .words = {"a red bag"}}).wishes()["cells"].size(), 1U);
}

TEST_F(GalleryOfRows, SaysWhichModelsGiveNoPatches) {
  const GalleryCell base = cell("CLIP", 0);
  classified(base, {0, 1, 2}, {0, 0, 1});
  const GalleryRequest request{.cells = {base}, .baseline = "", .words = {}};
  const Json wish = Gallery(request).wishes()["cells"][0]["evaluations"][0];
  Json gallery = answer(wish);
  gallery["maps"] = Json::object();  // of an earlier page, which had its maps of another evaluation
  write_gallery(base.folder, "zero_shot", gallery.dump());
  EXPECT_EQ(Gallery(request).wishes()["cells"].size(), 1U);
  gallery["maps"] = nullptr;
  write_gallery(base.folder, "zero_shot", gallery.dump());
  EXPECT_TRUE(Gallery(request).wishes()["cells"].empty());
  const Json page = Gallery(request).page();
  EXPECT_TRUE(page["evaluations"][0]["maps"].is_null());
  EXPECT_FALSE(page["evaluations"][0]["shown"][0].is_null());
  EXPECT_THAT(page["notes"].dump(), HasSubstr("gives no patch tokens"));
}

TEST_F(GalleryOfRows, OfManyRowsAreAskedForTheFirstAlone) {
  std::vector<GalleryCell> cells;
  for (std::size_t row = 0; row < kMostShownRows + 2; ++row) {
    cells.push_back(cell("row" + std::to_string(row), 0));
    classified(cells.back(), {0, 1, 2}, {0, 0, 1});
  }
  const Gallery gallery({.cells = cells, .baseline = cells.back().row, .words = {}});
  EXPECT_EQ(gallery.wishes()["cells"].size(), kMostShownRows + 1) << "and for the baseline";
  EXPECT_FALSE(gallery.page()["evaluations"][0]["class_results"][kMostShownRows].is_null());
  EXPECT_THAT(gallery.page()["notes"].dump(), HasSubstr("of the first 40 of 42 rows"));
}

TEST_F(GalleryOfRows, OfVeryManyCellsAreReadTheFirstAlone) {
  std::vector<GalleryCell> cells;
  const GalleryCell read = cell("row0", 0);
  classified(read, {0, 1, 2}, {0, 0, 1});
  for (std::size_t i = 0; i <= kMostScoredCells; ++i) {
    cells.push_back(read);
    cells.back().row = "row" + std::to_string(i);
  }
  const Json page = Gallery({.cells = cells, .baseline = "", .words = {}}).page();
  EXPECT_FALSE(page["evaluations"][0]["class_results"][kMostScoredCells - 1].is_null());
  EXPECT_TRUE(page["evaluations"][0]["class_results"][kMostScoredCells].is_null());
  EXPECT_THAT(page["notes"].dump(), HasSubstr("1 of 601 rows are left out here"));
}

TEST_F(GalleryOfRows, FindsCaptionsAndPicturesOfASearch) {
  const GalleryCell one = cell("CLIP", 0);
  // Captions 0 and 1 are of picture 0, 2 and 3 of picture 1.
  write(one, "retrieval",
        {{"text_retrieval_recall@1", tensor("F32", {2}, std::vector<float>{1, 0})},
         {"picture", tensor("I64", {4}, std::vector<int64_t>{0, 0, 1, 1})},
         {"nearest_captions", tensor("I64", {2, 2}, std::vector<int64_t>{1, 3, 0, 3})},
         {"nearest_pictures", tensor("I64", {4, 2}, std::vector<int64_t>{0, 1, 0, 1, 0, 1, 1, 0})}});
  const GalleryRequest request{.cells = {one}, .baseline = "", .words = {}};
  const Json wishes = Gallery(request).wishes();
  EXPECT_EQ(wishes["cells"][0]["evaluations"][0]["captions"], (Json::array({{0, 0}, {0, 1}, {1, 1}})));
  EXPECT_EQ(wishes["cells"][0]["evaluations"][0]["thumbnails"], (Json{0, 1}));
  fulfil(wishes);
  const Json evaluation = Gallery(request).page()["evaluations"][0];
  EXPECT_EQ(evaluation["chosen"][0], (Json{{"index", 1}, {"group", "wrong"}}));
  EXPECT_EQ(evaluation["shown"][0][0]["found"]["captions"],
            (Json::array({Json::array({"caption [0,0]", false}), Json::array({"caption [1,1]", true})})));
  EXPECT_EQ(evaluation["shown"][0][0]["found"]["pictures"], (Json{0, 1}));
  EXPECT_EQ(evaluation["thumbnails"], (Json{{"0", kPixel}, {"1", kPixel}}));
}

TEST_F(GalleryOfRows, OfOtherDataAreNotCompared) {
  const GalleryCell base = cell("CLIP", 0), other = cell("SILC", 0);
  classified(base, {0, 1, 2}, {0, 0, 1});
  classified(other, {0, 1}, {0, 1}, "others");
  const Json page = Gallery({.cells = {base, other}, .baseline = "CLIP", .words = {}}).page();
  EXPECT_TRUE(page["evaluations"][0]["scores"][1].is_null());
  EXPECT_THAT(page["notes"].dump(), HasSubstr("other data"));
}

TEST_F(GalleryOfRows, ThatAreDamagedAreSaidSo) {
  const GalleryCell base = cell("CLIP", 0);
  classified(base, {0, 1, 2}, {0, 0, 1});
  const GalleryRequest request{.cells = {base}, .baseline = "", .words = {}};
  const Json wish = Gallery(request).wishes()["cells"][0]["evaluations"][0];
  Json foreign = answer(wish);
  foreign["pictures"][0]["picture"] = "javascript:alert(1)";
  Json cut = answer(wish);
  cut["pictures"][1].erase("index");
  Json odd = answer(wish);
  odd["maps"]["grid"] = "8x8";
  for (const std::string& content :
       {std::string("{\"format\": 1, \"pict"), std::string("[]"), std::string("{}"), std::string("{\"format\": 1}"),
        std::string("\xff\xfe"), foreign.dump(), cut.dump(), odd.dump()}) {
    write_gallery(base.folder, "zero_shot", content);
    const Json page = Gallery(request).page();
    EXPECT_TRUE(page["evaluations"][0]["shown"][0].is_null()) << content;
    EXPECT_THAT(page["notes"].dump(), HasSubstr("no pictures of row \\\"CLIP\\\", seed 0: ")) << content;
  }
}

TEST_F(GalleryOfRows, ThatCouldNotBeMadeAreSaidSo) {
  const GalleryCell base = cell("CLIP", 0);
  classified(base, {0, 1, 2}, {0, 0, 1});
  const Gallery gallery({.cells = {base}, .baseline = "", .words = {}});
  EXPECT_THAT(gallery.page({{base.folder.string(), "there is no checkpoint"}})["notes"].dump(),
              HasSubstr("no pictures of row \\\"CLIP\\\", seed 0: there is no checkpoint"));
  EXPECT_EQ(gallery.page({{"", "pictures were not asked for"}})["notes"], (Json{"pictures were not asked for"}));
}

TEST_F(GalleryOfRows, SayOnceWhatSeveralLackAndNotWhereTheirFoldersAre) {
  const GalleryCell base = cell("CLIP", 0), other = cell("SILC", 0);
  classified(base, {0, 1}, {0, 0});
  classified(other, {0, 1}, {0, 1});
  const Gallery gallery({.cells = {base, other}, .baseline = "", .words = {}});
  const Json page = gallery.page({{base.folder.string(), base.folder.string() + "/cell.toml is gone"},
                                  {other.folder.string(), other.folder.string() + "/cell.toml is gone"}});
  EXPECT_EQ(page["notes"],
            (Json::array({"no pictures of row \"CLIP\", seed 0; row \"SILC\", seed 0: cell.toml is gone"})));
}

TEST_F(GalleryOfRows, PassOverWhatIsCalledAClassAndIsNone) {
  const GalleryCell one = cell("CLIP", 0);
  classified(one, {0, int64_t{1} << 40}, {0, 0});
  EXPECT_FALSE(Gallery({.cells = {one}, .baseline = "", .words = {}}).has_scores());
  write(one, "zero_shot",
        {{"acc1", tensor("F32", {2}, std::vector<float>{0, 1})},
         {"label", tensor("F32", {2}, std::vector<float>{std::nanf(""), 1})},
         {"prediction", tensor("I64", {2}, std::vector<int64_t>{0, 1})}});
  EXPECT_FALSE(Gallery({.cells = {one}, .baseline = "", .words = {}}).has_scores());
}

TEST_F(GalleryOfRows, WithoutScoresHaveNothingToShow) {
  const Json page = Gallery({.cells = {cell("CLIP", 0)}, .baseline = "", .words = {}}).page();
  EXPECT_TRUE(page["evaluations"].empty());
  EXPECT_TRUE(Gallery({}).page()["rows"].empty());
}

TEST_F(GalleryOfRows, OfTooManyRowsAreCutShortAndSaySo) {
  std::vector<GalleryCell> cells;
  std::vector<int64_t> label(24);
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = static_cast<int64_t>(i % 3);
  for (int row = 0; row < 12; ++row) {
    cells.push_back(cell("row" + std::to_string(row), 0));
    classified(cells.back(), label, std::vector<int64_t>(24, 0));
  }
  const GalleryRequest request{.cells = cells, .baseline = "", .words = {}};
  Json wishes = Gallery(request).wishes();
  for (const Json& each : wishes["cells"]) {
    Json gallery = answer(each["evaluations"][0]);
    gallery["maps"]["patches"] = std::string(400'000, 'A');
    write_gallery(each["folder"], "zero_shot", gallery.dump());
  }
  const Json page = Gallery(request).page();
  EXPECT_LT(page.dump().size(), kGalleryBytes + 100'000);
  EXPECT_EQ(page["evaluations"][0]["maps"]["rows"].size(), 2U);
  EXPECT_FALSE(page["evaluations"][0]["shown"][11].is_null()) << "pictures are small";
  EXPECT_THAT(page["notes"].dump(), HasSubstr("similarity maps are left out from row \\\"row2\\\" on"));
}

}  // namespace
}  // namespace silc
