#include "registry/page/page.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "files/durable_file.h"
#include "registry/page/assets.h"
#include "registry/page/sections.h"
#include "tests/files/temporary_folder.h"
#include "tests/registry/page/fake_study.h"
#include "text/markup.h"

namespace silc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++found;
  return found;
}

std::string html_of(const Page& page, const std::string& section) {
  for (const PageSection& each : page.sections)
    if (each.id == section) return each.html;
  ADD_FAILURE() << "no section " << section;
  return {};
}

std::string part_of(const Page& page, const std::string& id) {
  const auto part = std::ranges::find(page.parts, id, &PagePart::id);
  if (part != page.parts.end()) return part->html();
  ADD_FAILURE() << "no part " << id;
  return {};
}

TEST(Page, HasTheWordsOfTheOtherFormats) {
  const FakeStudy study;
  const PageRequest request = study.request();
  const std::string html = format_page(make_page(request));
  for (const char* word : {"57.3 ± 0.3", "(+4.0)", "baseline", "Does it help?", "Main results"})
    EXPECT_TRUE(html.find(word) != std::string::npos) << word;
  EXPECT_FALSE(request.tables[0].notes.empty());
  for (const std::string& note : request.tables[0].notes)
    EXPECT_TRUE(html.find(escape_markup(note)) != std::string::npos) << note;
}

// Without style and script, which lie in files of their own, one tag a line.
std::string readable(std::string html) {
  for (const std::string& name : {std::string("style"), std::string("script")}) {
    const std::size_t start = html.find("<" + name + ">") + name.size() + 2;
    html.erase(start, html.find("</" + name + ">", start) - start);
  }
  std::string text;
  for (std::size_t i = 0; i < html.size(); ++i) {
    if (html[i] == '<' && i > 0 && html[i - 1] == '>') text += '\n';
    text += html[i];
  }
  return text;
}

TEST(Page, ReadsAsBefore) {
  const FakeStudy study;
  std::string html = readable(format_page(make_page(study.request())));
  const std::string hash(page_script_hash());
  html.replace(html.find(hash), hash.size(), "(the script's hash)");
  const std::string golden = read_file(std::filesystem::path(SILC_SOURCE_DIR) / "tests/data/report/page.html");
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "silc-page.html";
  if (html != golden) FakeRuns::write(file, html);
  EXPECT_TRUE(html == golden) << "what it reads now lies in " << file;
}

TEST(Page, DrawsPlotsAsBefore) {
  const FakeStudy study;
  const TemporaryFolder folder;
  write_plots(study.request(), folder.path());
  for (const char* name : {"main-zero_shot_classification-acc1-one-column.svg", "curves-loss-two-columns.svg"}) {
    const std::string svg = read_file(folder / name);
    const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / ("silc-plot-" + std::string(name));
    const bool same = svg == read_file(std::filesystem::path(SILC_SOURCE_DIR) / "tests/data/report" / name);
    if (!same) FakeRuns::write(file, svg);
    EXPECT_TRUE(same) << "what is drawn now lies in " << file;
  }
}

TEST(Page, SaysInWordsWhichCellsAreMissingFailedSickOrAlone) {
  const FakeStudy study;
  const Page page = make_page(study.request());
  EXPECT_THAT(page.head, AllOf(HasSubstr("<b>6</b> of 12 cells finished"), HasSubstr("<b>1</b> failed"),
                               HasSubstr("<b>5</b> not started"), HasSubstr("<b>2</b> warnings of sick training")));
  const std::string table = html_of(page, "table-1-main");
  EXPECT_THAT(table, AllOf(HasSubstr("no value yet: 0 of 3 seeds finished"), HasSubstr("2 of 3"), HasSubstr("1 of 3"),
                           HasSubstr("class=\"tag warning\"")));
}

TEST(Page, HoldsEverythingAboutACell) {
  const FakeStudy study;
  const Page page = make_page(study.request());
  const std::string failed = part_of(page, "cell:" + study.cell(1, 2).folder.generic_string());
  EXPECT_THAT(failed, AllOf(HasSubstr("the loss is not finite"), HasSubstr("objective &quot;silc&quot;"),
                            HasSubstr("step"), HasSubstr("&lt;b&gt;not bold&lt;/b&gt;")));
  const std::string sick = part_of(page, "cell:" + study.cell(1, 0).folder.generic_string());
  EXPECT_THAT(sick, AllOf(HasSubstr("teacher_entropy 0.5 (below 1 for 30 steps): raise it"), HasSubstr("61.0 %"),
                          HasSubstr("All settings")));
}

TEST(Page, EscapesEveryNameAndValue) {
  const FakeStudy study;
  const std::string html = format_page(make_page(study.request()));
  EXPECT_EQ(count(html, "<img"), 0);
  EXPECT_EQ(count(html, "</script>"), 1) << "that of the page's own script";
  EXPECT_GT(count(html, "&lt;/script&gt;&lt;img"), 0);
}

TEST(Page, AsksNothingOfOtherComputers) {
  const FakeStudy study;
  const std::string html = format_page(make_page(study.request()));
  for (const std::string& rule :
       {std::string("default-src 'none'"), std::string("connect-src 'none'"), std::string(page_script_hash())})
    EXPECT_EQ(count(html, rule), 1) << rule;
  for (const char* reference : {"<img", "<iframe", "<script src", "url(", "@import", "href=\"http", "href=\"//"})
    EXPECT_EQ(count(html, reference), 0) << reference;
}

TEST(Page, IsTheSameFromTheSameRegistry) {
  const FakeStudy study;
  EXPECT_TRUE(format_page(make_page(study.request())) == format_page(make_page(study.request())));
}

TEST(Page, HoldsAllPartsInAFileAndNoneWhereAServerHasThem) {
  const FakeStudy study;
  const Page page = make_page(study.request(true));
  EXPECT_EQ(count(format_page(page), "<template id=\"part:"), page.parts.size());
  const std::string live = format_live_page(page);
  EXPECT_EQ(count(live, "<template"), 0);
  EXPECT_EQ(count(live, "<html lang=\"en\" data-live>"), 1);
  EXPECT_EQ(count(live, "connect-src 'self'"), 1);
}

TEST(Page, NamesEveryPartOnce) {
  const FakeStudy study;
  std::set<std::string> ids;
  const Page page = make_page(study.request());
  for (const PagePart& part : page.parts) EXPECT_TRUE(ids.insert(part.id).second) << part.id;
}

TEST(Page, TellsTablesOfOneTitleAndTheirBaselinesApart) {
  FakeStudy study;
  study.experiment.tables.push_back(study.experiment.tables[0]);
  study.experiment.tables[1].name = "other";
  study.experiment.tables[1].baseline = "SILC";
  study.experiment.tables[0].rows = {"CLIP", kHostileRow};
  study.experiment.tables[1].rows = {"SILC", "not started"};
  const Page page = make_page(study.request());
  EXPECT_EQ(page.sections[0].title, "Main results (main)");
  EXPECT_EQ(page.sections[1].title, "Main results (other)");
  const std::string curves = part_of(page, "curves:loss");
  EXPECT_EQ(count(curves, "class=\"s0 series\""), 1);
}

TEST(Page, ShowsScoresAlongTrainingOfRowsThatWereEvaluatedThere) {
  FakeStudy study;
  for (std::size_t seed = 0; seed < 3; ++seed) {
    const PlannedCell& cell = study.cell(0, seed);
    for (const int64_t step : {5, 10, 15})
      study.fakes.along(cell, step, 0.05 * static_cast<double>(step), 0.03 * static_cast<double>(step));
    study.registry.ingest(cell.folder);
  }
  const Page page = make_page(study.request());
  const std::string plot = part_of(page, "table-1-main-costs:zero_shot_classification/acc1:along-flops");
  EXPECT_THAT(plot, AllOf(HasSubstr("data-row=\"CLIP\""), HasSubstr("class=\"mean\""), HasSubstr("class=\"seed\""),
                          Not(HasSubstr("data-row=\"SILC\""))));
  EXPECT_THAT(html_of(page, "table-1-main"), HasSubstr("acc1 % along training, by FLOPs"));
}

TEST(Page, HasACurveOfEveryStepMetric) {
  const FakeStudy study;
  const Page page = make_page(study.request());
  for (const char* metric : {"loss", "teacher_entropy", "rate"})
    EXPECT_THAT(part_of(page, std::string("curves:") + metric), HasSubstr("class=\"mean\""));
}

TEST(Page, HasTheCurvesOfAllPhasesOneAfterTheOther) {
  FakeRuns fakes;
  Registry registry = fakes.open();
  PlannedExperiment experiment = FakeRuns::experiment("phased", {"LiT"}, {0});
  const PlannedCell first = FakeRuns::cell("phased", "CLIP", 0, "aaaaaaaaaa99");
  registry.plan(experiment);
  const auto train = [&](const PlannedCell& cell, const std::string& start, int64_t steps) {
    fakes.write_cell("phased", cell, "student", start);
    fakes.event(cell, "started", 99, {{"step", 0}, {"total_steps", steps}, {"pid", 1}});
    for (int64_t step = 1; step <= steps; ++step) fakes.step(cell, step, 100, 2.0);
    registry.ingest(cell.folder);
  };
  train(first, "", 3);
  train(experiment.cells[0], first.folder.lexically_relative("phased").generic_string(), 2);
  PageRequest request;
  request.sources = {{&registry, experiment, "phased"}};
  request.tables = build_tables(registry, experiment, {.experiment = "phased", .table = "", .metrics = {}});
  const auto context = gather(request);
  const plot::CurvePlot plot = learning_curves(*context, "loss");
  ASSERT_EQ(plot.series.size(), 1U);
  const std::vector<plot::Point>& line = plot.series[0].lines.at(0);
  ASSERT_EQ(line.size(), 5U);
  for (std::size_t i = 0; i < line.size(); ++i) EXPECT_EQ(line[i].x, static_cast<double>(i + 1) * line[0].x);
}

TEST(Page, ReadsCurvesAgainOnlyOfRowsThatHaveChanged) {
  FakeStudy study;
  PageRequest request = study.request(true);
  request.cache = make_page_cache();
  const std::string before = part_of(make_page(request), "curves:loss");
  EXPECT_EQ(part_of(make_page(request), "curves:loss"), before);
  const PlannedCell& cell = study.cell(3, 0);
  study.train(cell, 10, 9);
  study.registry.ingest(cell.folder);
  EXPECT_NE(part_of(make_page(request), "curves:loss"), before);
}

TEST(Page, ShowsNothingOfFoldersOutsideOfTheRunsFolder) {
  const FakeStudy study;
  const auto& cell = study.cell(0, 0);
  const auto secret = study.fakes.runs().parent_path() / "secret";
  FakeRuns::write(secret, "the key to the house\n");
  const RunFolder folder = study.fakes.folder(cell);
  std::filesystem::remove(folder.log());
  std::filesystem::create_symlink(secret, folder.log());
  EXPECT_EQ(count(format_page(make_page(study.request())), "the key to the house"), 0);
}

TEST(Page, OfManyCellsStaysSmall) {
  FakeRuns fakes;
  Registry registry = fakes.open();
  std::vector<std::string> rows;
  for (int row = 0; row < 40; ++row) rows.push_back(fmt::format("row number {}", row));
  const PlannedExperiment experiment = FakeRuns::experiment("large", rows, {0, 1, 2, 3, 4});
  registry.plan(experiment);
  for (const PlannedCell& cell : experiment.cells) {
    fakes.write_cell("large", cell);
    std::string events;
    for (int64_t step = 1; step <= 200; ++step) {
      nlohmann::json values;
      for (int metric = 0; metric < 12; ++metric)
        values[fmt::format("metric_{}", metric)] = std::sin(0.1 * static_cast<double>(step * (metric + 1))) + 2;
      events += nlohmann::json{{"event", "step"},
                               {"time", 100 + step},
                               {"step", step},
                               {"examples", 32 * step},
                               {"fraction", 0.5},
                               {"rate", 90.0},
                               {"loss", 4.0 / static_cast<double>(step)},
                               {"values", values}}
                    .dump() +
                "\n";
    }
    FakeRuns::write(fakes.folder(cell).events(), events);
    fakes.metrics(cell, {FakeRuns::metric("student", "acc1", 0.5)}, {{"flops", 1e12}});
    fakes.event(cell, "finished", 400);
    registry.ingest(cell.folder);
  }
  PageRequest request;
  request.sources = {{&registry, experiment, "large"}};
  request.tables = build_tables(registry, experiment, {.experiment = "large", .table = "", .metrics = {}});
  EXPECT_LT(format_page(make_page(request)).size(), 5'000'000);
}

TEST(Page, WritesItsPlotsAsFilesForPapers) {
  const FakeStudy study;
  const TemporaryFolder folder;
  const std::vector<std::string> names = write_plots(study.request(), folder.path());
  EXPECT_THAT(names, AllOf(Contains("main-zero_shot_classification-acc1-one-column.svg"),
                           Contains("curves-loss-two-columns.svg"),
                           Contains("main-zero_shot_classification-acc1-flops-one-column.svg")));
  for (const std::string& name : names) {
    const std::string svg = read_file(folder / name);
    EXPECT_THAT(svg, AllOf(HasSubstr("xmlns="), HasSubstr("</text>"), Not(HasSubstr("<img")), Not(HasSubstr("nan"))))
        << name;
  }
}

TEST(Page, ShowsRowsOfSeveralExperimentsUnderTheNamesOfTheirTable) {
  const FakeStudy study;
  FakeRuns other;
  Registry registry = other.open();
  const PlannedExperiment experiment = FakeRuns::experiment("other", {"CLIP"}, {0});
  registry.plan(experiment);
  other.finish("other", experiment.cells[0], 0.4);
  registry.ingest(experiment.cells[0].folder);
  PageRequest request;
  request.sources = {{&study.registry, study.experiment, "study"}, {&registry, experiment, "other"}};
  request.tables = {build_joint_table(request.sources, {.experiment = "study", .table = "", .metrics = {}})};
  const Page page = make_page(request);
  EXPECT_THAT(html_of(page, "cells"), AllOf(HasSubstr("other/CLIP"), HasSubstr("study/CLIP")));
}

}  // namespace
}  // namespace silc
