#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "registry/page/page.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class PicturesOfAPage : public ::testing::Test {
 protected:
  PicturesOfAPage()
      : registry_(runs_.open()), experiment_(FakeRuns::experiment("ablation", {"CLIP", "</script><b>&"}, {0, 1})) {
    registry_.plan(experiment_);
  }

  void finish(std::size_t cell) {
    runs_.finish("ablation", experiment_.cells[cell], 0.5);
    registry_.ingest(experiment_.cells[cell].folder);
  }

  Page page(PageRequest& request) {
    request.sources = {{&registry_, experiment_, "ablation"}};
    request.tables = build_tables(registry_, {.experiment = "ablation", .table = "", .metrics = {}});
    return make_page(request);
  }

  static const PageSection& section(const Page& page) {
    return *std::ranges::find(page.sections, "pictures", &PageSection::id);
  }

  FakeRuns runs_;
  Registry registry_;
  PlannedExperiment experiment_;
};

TEST_F(PicturesOfAPage, AreLeftOutWhereNoCellHasScoresOfPictures) {
  finish(0);
  PageRequest request;
  EXPECT_EQ(section(page(request)).html, "");
}

TEST_F(PicturesOfAPage, AreDataInWhichNothingIsMarkup) {
  for (const std::size_t cell : {0, 1}) {
    runs_.samples(experiment_.cells[cell], "text_retrieval_recall@1", {1, 0, 1}, "student", "retrieval");
    finish(cell);
  }
  PageRequest request;
  const Page made = page(request);
  EXPECT_THAT(section(made).html, HasSubstr("data-gallery=\"pictures:data\""));
  const auto part = std::ranges::find(made.parts, "pictures:data", &PagePart::id);
  ASSERT_NE(part, made.parts.end());
  const Html data = part->html();
  EXPECT_THAT(data, Not(HasSubstr("<")));
  EXPECT_THAT(data, Not(HasSubstr("&")));
  const Json gallery = Json::parse(data);
  EXPECT_EQ(gallery["rows"][1]["name"], "</script><b>&");
  EXPECT_EQ(gallery["rows"][0]["baseline"], true);
  EXPECT_THAT(gallery["notes"].dump(), HasSubstr("they were not made"));
  EXPECT_THAT(format_page(made), HasSubstr("<template id=\"part:pictures:data\">{"));
}

TEST_F(PicturesOfAPage, AreOfAnotherSectionWhenAnotherCellIsFinished) {
  runs_.samples(experiment_.cells[0], "text_retrieval_recall@1", {1, 0, 1}, "student", "retrieval");
  finish(0);
  PageRequest request;
  const Html before = section(page(request)).html;
  finish(1);
  EXPECT_NE(section(page(request)).html, before);
}

TEST_F(PicturesOfAPage, AreWishedForOfFinishedCellsAlone) {
  runs_.samples(experiment_.cells[0], "text_retrieval_recall@1", {1, 0, 1}, "student", "retrieval");
  runs_.write_cell("ablation", experiment_.cells[1]);
  runs_.event(experiment_.cells[1], "started", 100, {{"step", 0}});
  registry_.ingest(experiment_.cells[1].folder);
  finish(0);
  PageRequest request;
  page(request);
  const GalleryRequest asked = gallery_request(request);
  ASSERT_EQ(asked.cells.size(), 1U);
  EXPECT_EQ(asked.baseline, "CLIP");
  EXPECT_EQ(asked.cells[0].folder, runs_.folder(experiment_.cells[0]).path);
  EXPECT_EQ(asked.cells[0].weights, "student");
}

}  // namespace
}  // namespace silc
