// Trials in the registry, and what reports make of a search.
#include "registry/search_report.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "fake_runs.h"
#include "registry/page/page.h"
#include "silc/error.h"
#include "tests/registry/valid_json.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class SearchReportTest : public ::testing::Test {
 protected:
  static constexpr std::array<const char*, 4> kRates = {"0.0001", "0.0005", "0.002", "0.009"};

  // Four trials a row, trained with scores as given; nothing: it failed.
  void add_row(const std::string& row, const std::vector<std::optional<double>>& scores,
               std::optional<int64_t> chosen) {
    PlannedRowSearch& search = search_.rows.emplace_back();
    search.row = row;
    search.space = {
        {.key = "optimizer.lr", .kind = "log", .low = 1e-4, .high = 1e-2, .choices = {}},
        {.key = "optimizer.weight_decay", .kind = "choice", .low = 0, .high = 0, .choices = {"0.01", "0.1", "0.5"}}};
    search.complete = chosen.has_value();
    search.chosen = chosen;
    for (std::size_t number = 0; number < scores.size(); ++number) {
      PlannedCell cell = FakeRuns::cell("bench", row, 1'000'000, row + std::to_string(number));
      cell.folder = std::filesystem::path("bench") / row / ("trial-" + std::to_string(number) + "-" + cell.id);
      search.trials.push_back({.number = static_cast<int64_t>(number),
                               .values = {kRates.at(number), number == 1 ? "0.1" : "0.01"},
                               .id = cell.id,
                               .folder = cell.folder});
      runs_.write_cell("bench", cell);
      std::string text = read_file(runs_.folder(cell).cell());
      text.replace(text.find("seed ="), 0, "trial = " + std::to_string(number) + "\n");
      FakeRuns::write(runs_.folder(cell).cell(), text);
      runs_.event(cell, "started", 100, {{"step", 0}, {"total_steps", 20}, {"pid", 1}});
      runs_.event(cell, "step", 101, {{"step", 10}, {"fraction", 0.5}, {"flops", 4e11}, {"core_seconds", 4.0}});
      if (scores[number]) {
        runs_.metrics(cell, nlohmann::json::array({FakeRuns::metric("student", "acc1", *scores[number])}),
                      {{"flops", 1e12}, {"core_seconds", 10.0}});
        runs_.event(cell, "finished", 103);
      } else {
        runs_.event(cell, "failed", 103, {{"message", "the loss is not finite"}});
      }
      folders_.push_back(cell.folder);
    }
    search_.tuned.push_back({row, row});
  }

  PlannedExperiment planned(const std::vector<std::string>& rows, const std::vector<std::string>& with_cells) {
    PlannedExperiment experiment = FakeRuns::experiment("bench", rows, {0});
    std::erase_if(experiment.cells,
                  [&](const PlannedCell& cell) { return std::ranges::find(with_cells, cell.row) == with_cells.end(); });
    experiment.search = search_;
    experiment.tables[0].columns = {"zero_shot_classification/acc1", "search/flops", "search/core_seconds",
                                    "search/trials"};
    for (const PlannedCell& cell : experiment.cells) runs_.finish("bench", cell, 0.5);
    return experiment;
  }

  Registry record(const PlannedExperiment& experiment) {
    Registry registry = runs_.open();
    registry.plan(experiment);
    for (const auto& folder : folders_) registry.ingest(folder);
    for (const PlannedCell& cell : experiment.cells) registry.ingest(cell.folder);
    return registry;
  }

  static Table table_of(const Registry& registry) {
    ReportRequest request;
    request.experiment = "bench";
    return build_tables(registry, request).at(0);
  }

  FakeRuns runs_;
  PlannedSearch search_{.method = "random",
                        .metric = "zero_shot_classification/acc1",
                        .evaluation = "zero_shot_classification",
                        .name = "acc1",
                        .weights = "",
                        .split = "validation",
                        .seed = 1'000'000,
                        .budget = 0.5,
                        .trials = 4,
                        .rows = {},
                        .tuned = {}};
  std::vector<std::filesystem::path> folders_;
};

TEST(ExpectedBestTest, IsTheMeanOfTheBestOfAllDrawsWithReplacement) {
  const auto curve = expected_best({4.0, 1.0, 2.0}, true);
  ASSERT_THAT(curve, SizeIs(3));
  EXPECT_DOUBLE_EQ(curve[0].mean, 7.0 / 3);
  EXPECT_DOUBLE_EQ(curve[1].mean, 27.0 / 9);
  EXPECT_DOUBLE_EQ(curve[2].mean, 91.0 / 27);
  EXPECT_EQ(curve[0].interval.low, 1);
  EXPECT_EQ(curve[0].interval.high, 4);
}

TEST(ExpectedBestTest, TakesTheLeastOfALossAndTheWorstForWhatFailed) {
  const auto curve = expected_best({4.0, std::nullopt, 2.0}, false);
  EXPECT_DOUBLE_EQ(curve[0].mean, 10.0 / 3);
  EXPECT_DOUBLE_EQ(curve[1].mean, (4.0 * 4 + 2 * 5) / 9);
  EXPECT_THAT(expected_best({std::nullopt}, true), IsEmpty());
}

TEST_F(SearchReportTest, TheRegistryKnowsTrialsAndLeavesThemOutOfTables) {
  add_row("CLIP", {0.1, 0.2, std::nullopt, 0.4}, 3);
  const Registry registry = record(planned({"CLIP"}, {"CLIP"}));
  const std::vector<TrialRecord> trials = registry.trials("bench");
  ASSERT_THAT(trials, SizeIs(4));
  EXPECT_EQ(trials[1].score, 0.2);
  EXPECT_EQ(trials[1].flops, 1e12);
  EXPECT_EQ(trials[2].state, CellState::failed);
  EXPECT_EQ(trials[2].message, "the loss is not finite");
  EXPECT_EQ(trials[2].flops, 4e11);
  EXPECT_EQ(trials[2].fraction, 0.5);
  const std::vector<MetricRecord> metrics = registry.metrics("bench");
  EXPECT_TRUE(std::ranges::all_of(metrics, [](const MetricRecord& metric) { return metric.seed == 0; }));
  EXPECT_EQ(registry.find_cell("CLIP1").trial, 1);
}

TEST_F(SearchReportTest, IsRebuiltFromRunFolders) {
  add_row("CLIP", {0.1, 0.2, std::nullopt, 0.4}, 3);
  Registry registry = record(planned({"CLIP"}, {"CLIP"}));
  const auto before = registry.trials("bench");
  std::vector<std::string> faults;
  registry.rebuild(&faults);
  EXPECT_THAT(faults, IsEmpty());
  const auto after = registry.trials("bench");
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].score, before[i].score);
    EXPECT_EQ(after[i].trial.values, before[i].trial.values);
    EXPECT_EQ(after[i].state, before[i].state);
  }
  EXPECT_EQ(registry.experiment("bench")->search->rows.at(0).chosen, 3);
}

TEST_F(SearchReportTest, TablesHaveTheCostOfTheSearchOfEachRow) {
  add_row("CLIP", {0.1, 0.2, std::nullopt, 0.4}, 3);
  const Table table = table_of(record(planned({"CLIP", "fixed"}, {"CLIP", "fixed"})));
  EXPECT_EQ(table.rows[0].entries[1].mean, 3.4e12);
  EXPECT_EQ(table.rows[0].entries[2].mean, 34);
  EXPECT_EQ(table.rows[0].entries[3].mean, 4);
  EXPECT_EQ(table.rows[1].entries[1].mean, 0);
  EXPECT_THAT(format_tables({table}, TableFormat::terminal),
              AllOf(HasSubstr("search FLOPs"), Not(HasSubstr("(n = 1)"))));
}

TEST_F(SearchReportTest, NotesSaySpaceEffortChoiceAndWhatLiesAtTheEnd) {
  add_row("CLIP", {0.1, 0.2, std::nullopt, 0.4}, 3);
  add_row("SILC", {0.1, 0.5, 0.3, 0.4}, 1);
  const auto notes = table_of(record(planned({"CLIP", "SILC"}, {"CLIP", "SILC"}))).notes;
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("4 trials for each row"), HasSubstr("50 % of the row's budget"),
                                    HasSubstr("on split \"validation\"; test data took no part"))));
  EXPECT_THAT(notes,
              Contains("Space: optimizer.lr: 0.0001 to 0.01 (logarithmic); optimizer.weight_decay: 0.01, 0.1, 0.5."));
  EXPECT_THAT(notes,
              Contains("Effort: \"CLIP\" 4 trials, 3.40 T FLOPs, 1 of them failed; \"SILC\" 4 trials, 4.00 T FLOPs."));
  EXPECT_THAT(notes,
              Contains("Chosen: \"CLIP\" optimizer.lr = 0.009, optimizer.weight_decay = 0.01; \"SILC\" optimizer.lr = "
                       "0.0005, optimizer.weight_decay = 0.1."));
  EXPECT_THAT(notes, Contains("optimizer.lr of \"CLIP\" is at the upper end of what was searched: widen it."));
  EXPECT_THAT(notes,
              Contains("optimizer.weight_decay of \"CLIP\" is at the lower end of what was searched: widen it."));
  EXPECT_THAT(notes, Not(Contains(HasSubstr("of \"SILC\" is at"))));
  EXPECT_THAT(notes, Not(Contains(HasSubstr("Warning: rows differ in search effort"))));
}

TEST_F(SearchReportTest, WarnsOfRowsThatDifferInEffort) {
  add_row("CLIP", {0.1, 0.2, 0.3, 0.4}, 3);
  add_row("SILC", {0.1, 0.5}, 1);
  search_.tuned.push_back({"shared", "CLIP"});
  const auto notes =
      table_of(record(planned({"CLIP", "SILC", "shared", "fixed"}, {"CLIP", "SILC", "shared", "fixed"}))).notes;
  EXPECT_THAT(
      notes, Contains("Warning: rows differ in search effort: their numbers of trials differ; \"fixed\" was trained as "
                      "written, not tuned."));
  EXPECT_THAT(notes, Contains("\"shared\": trained with the values that the search of \"CLIP\" chose."));
}

TEST_F(SearchReportTest, ASearchThatIsNotCompleteIsSaidAndItsRowsAreMissing) {
  add_row("CLIP", {0.1, 0.2, 0.3, 0.4}, 3);
  add_row("SILC", {0.1, 0.5, 0.2}, std::nullopt);
  const Table table = table_of(record(planned({"CLIP", "SILC"}, {"CLIP"})));
  EXPECT_THAT(table.notes, Contains("The search is not complete (trials begun): \"SILC\" (3 of 3)."));
  EXPECT_THAT(table.notes, Contains("\"SILC\": 1 of 1 seeds missing."));
}

TEST_F(SearchReportTest, ShowsEveryTrialWhatFewerWouldHaveFoundAndWhatMatters) {
  add_row("CLIP", {0.1, 0.2, std::nullopt, 0.4}, 3);
  const PlannedExperiment experiment = planned({"CLIP"}, {"CLIP"});
  const SearchReport report = build_search_report(record(experiment), experiment);
  ASSERT_THAT(report.rows, SizeIs(1));
  EXPECT_THAT(report.rows[0].expected, SizeIs(4));
  ASSERT_THAT(report.rows[0].sensitivity, SizeIs(2));
  EXPECT_EQ(report.rows[0].sensitivity[0].bins.at(3).best, 0.4);
  EXPECT_EQ(report.rows[0].sensitivity[1].bins.at(0).trials, 3);
  EXPECT_EQ(report.rows[0].sensitivity[1].bins.at(0).scored, 2);
  const std::string text = format_search_report(report, TableFormat::terminal);
  EXPECT_THAT(text, AllOf(HasSubstr("Expected best acc1 % of n trials"), HasSubstr("3 *"), HasSubstr("failed"),
                          HasSubstr("optimizer.lr"), HasSubstr("█")));
  const auto json = nlohmann::json::parse(format_search_report(report, TableFormat::json));
  EXPECT_EQ(json.at("rows").at(0).at("chosen"), 3);
  EXPECT_EQ(json.at("rows").at(0).at("trials").at(2).at("score"), nullptr);
  EXPECT_EQ(json.at("rows").at(0).at("space").at(0).at("chosen_at_end"), "upper");
  const std::string csv = format_search_report(report, TableFormat::csv);
  EXPECT_THAT(csv, HasSubstr("bench,CLIP,3,yes,finished,zero_shot_classification/acc1,0.4,1,1000000000000,10,"));
  EXPECT_THAT(format_search_report(report, TableFormat::markdown), HasSubstr("| trial | optimizer.lr |"));
  EXPECT_THROW(format_search_report(report, TableFormat::latex), Error);
}

TEST_F(SearchReportTest, ItsJsonIsWhatTheSchemaSays) {
  add_row("CLIP", {0.1, 0.2, std::nullopt, 0.4}, 3);
  add_row("SILC", {std::nullopt, std::nullopt, std::nullopt}, std::nullopt);
  search_.rows[1].after = "CLIP";
  const PlannedExperiment experiment = planned({"CLIP", "SILC"}, {"CLIP"});
  expect_valid_json(format_search_report(build_search_report(record(experiment), experiment), TableFormat::json),
                    "search.schema.json");
}

// Of halving: trials that have paused at a third of their budget, and some that went on.
class HalvingReportTest : public SearchReportTest {
 protected:
  // `scores`: at the rungs, one trial after the other.
  void add_halved(const std::string& row, const std::vector<std::vector<double>>& scores) {
    search_.method = "halving";
    search_.rungs = {1.0 / 3, 1};
    PlannedRowSearch& search = search_.rows.emplace_back();
    search.row = row;
    search.space = {{.key = "optimizer.lr", .kind = "log", .low = 1e-4, .high = 1e-2, .choices = {}}};
    search.rungs = {{0, 1.0 / 3}, {0, 1}};
    search.complete = true;
    for (std::size_t number = 0; number < scores.size(); ++number) {
      PlannedCell cell = FakeRuns::cell("bench", row, 1'000'000, row + std::to_string(number));
      cell.folder = std::filesystem::path("bench") / row / ("trial-" + std::to_string(number) + "-" + cell.id);
      search.trials.push_back({.number = static_cast<int64_t>(number),
                               .values = {kRates.at(number)},
                               .id = cell.id,
                               .folder = cell.folder});
      runs_.write_cell("bench", cell);
      runs_.event(cell, "started", 100, {{"step", 0}, {"total_steps", 30}, {"pid", 1}});
      runs_.event(cell, "step", 101, {{"step", 10}, {"fraction", 1.0 / 3}, {"flops", 4e11}, {"core_seconds", 4.0}});
      runs_.event(cell, "evaluated_along", 102,
                  {{"step", 10},
                   {"fraction", 1.0 / 3},
                   {"examples", 80},
                   {"flops", 4e11},
                   {"core_seconds", 4.0},
                   {"seconds", 4.0},
                   {"metrics", nlohmann::json::array({FakeRuns::metric("student", "acc1", scores[number].at(0))})}});
      runs_.event(cell, "paused", 103, {{"step", 10}});
      if (scores[number].size() > 1) {
        search.chosen = static_cast<int64_t>(number);
        runs_.metrics(cell, nlohmann::json::array({FakeRuns::metric("student", "acc1", scores[number].at(1))}),
                      {{"flops", 12e11}, {"core_seconds", 12.0}});
        runs_.event(cell, "finished", 104);
      }
      folders_.push_back(cell.folder);
    }
    search_.tuned.push_back({row, row});
  }
};

TEST_F(HalvingReportTest, ExpectedBestIsThatOfTheFirstRungWhereAllTrialsWere) {
  add_halved("CLIP", {{0.1}, {0.3, 0.35}, {0.2}, {0.4, 0.3}});
  const PlannedExperiment experiment = planned({"CLIP"}, {});
  const SearchReport report = build_search_report(record(experiment), experiment);
  ASSERT_THAT(report.rows.at(0).expected, SizeIs(4));
  EXPECT_DOUBLE_EQ(report.rows[0].expected[0].mean, 0.25);
  EXPECT_EQ(report.rows[0].expected[3].interval.high, 0.4);
  EXPECT_EQ(report.rows[0].trials[1].rungs, (std::vector<std::optional<double>>{0.3, 0.35}));
  EXPECT_EQ(report.rows[0].trials[2].rungs, (std::vector<std::optional<double>>{0.2, std::nullopt}));
  const std::string text = format_search_report(report, TableFormat::terminal);
  EXPECT_THAT(text, AllOf(HasSubstr("Expected best acc1 % of n trials, each after 33.3 % of a trial's budget"),
                          HasSubstr("4: 40.0, 25.0"), HasSubstr("2: 35.0, 32.5"), HasSubstr("stopped")));
  EXPECT_THAT(format_search_report(report, TableFormat::csv),
              HasSubstr(",score at 33.3 %,score at 100 %,optimizer.lr\r\n"));
  expect_valid_json(format_search_report(report, TableFormat::json), "search.schema.json");
}

TEST_F(SearchReportTest, WhatTrialsGoOnFromIsPaidForOnceAndSaid) {
  add_row("CLIP", {0.1, 0.2, 0.3, 0.4}, 3);
  add_row("late", {0.1, 0.2, 0.5, 0.4}, 2);
  search_.rows[1].after = "CLIP";
  const auto notes = table_of(record(planned({"CLIP", "late"}, {"CLIP", "late"}))).notes;
  EXPECT_THAT(notes,
              Contains("Trials of \"late\" go on from the trial that was chosen for \"CLIP\", whose 4.00 T FLOPs "
                       "come before its own effort."));
}

TEST_F(SearchReportTest, ARowAsWrittenThatStartsFromATunedOneIsNotTuned) {
  add_row("CLIP", {0.1, 0.2, 0.3, 0.4}, 3);
  search_.tuned.push_back({"late", "CLIP", "CLIP"});
  const auto notes = table_of(record(planned({"CLIP", "late"}, {"CLIP", "late"}))).notes;
  EXPECT_THAT(notes, Contains("\"late\": starts from \"CLIP\", which was tuned."));
  EXPECT_THAT(notes, Contains("Warning: rows differ in search effort: \"late\" was trained as written, not tuned."));
}

TEST_F(SearchReportTest, AnExperimentWithoutASearchHasNoneToShow) {
  const PlannedExperiment experiment = FakeRuns::experiment("plain", {"CLIP"}, {0});
  Registry registry = runs_.open();
  registry.plan(experiment);
  EXPECT_THROW(build_search_report(registry, experiment), Error);
}

TEST_F(SearchReportTest, IsDrawnOnThePage) {
  add_row("CLIP", {0.2, 0.4, 0.6, std::nullopt}, 2);
  add_row("SILC", {0.3, 0.5, 0.4, 0.2}, 1);
  const PlannedExperiment experiment = planned({"CLIP", "SILC"}, {"CLIP", "SILC"});
  const Registry registry = record(experiment);
  PageRequest request;
  request.sources = {{&registry, experiment, "bench"}};
  request.tables = {table_of(registry)};
  const Page page = make_page(request);
  const auto section = std::ranges::find(page.sections, "search", &PageSection::id);
  ASSERT_NE(section, page.sections.end());
  // Of each row every trial, the chosen one marked, what failed by words, and sorted by what figures mean.
  EXPECT_THAT(section->html,
              AllOf(HasSubstr("<tr class=\"baseline\"><td data-sort=\"2\">2 *</td>"), HasSubstr(">failed</td>"),
                    HasSubstr("<td data-sort=\"0.6\">60.0</td>"), HasSubstr("4 trials, 3.40 T FLOPs")));
  std::vector<std::string> plots;
  for (const PagePart& part : page.parts)
    if (part.id.starts_with("search:")) plots.push_back(part.id);
  EXPECT_THAT(plots, ElementsAre("search:expected-best", "search:optimizer.lr", "search:optimizer.weight_decay"));
  const auto trials = std::ranges::find(page.parts, "search:optimizer.lr", &PagePart::id);
  EXPECT_THAT(trials->html(), AllOf(HasSubstr("CLIP, trial 2 (chosen): acc1 60.0 %; optimizer.lr = 0.002; "
                                              "optimizer.weight_decay = 0.01"),
                                    HasSubstr("SILC, trial 3: acc1 20.0 %"), Not(HasSubstr("CLIP, trial 3"))))
      << "a trial that failed has no place";
  for (const std::string& note : request.tables[0].notes)
    EXPECT_EQ(section->html.find("<li>" + note), std::string::npos) << "stands below the table already";
}

TEST_F(SearchReportTest, HasNoSectionOnThePageOfAnExperimentWithoutOne) {
  const PlannedExperiment experiment = FakeRuns::experiment("bench", {"CLIP"}, {0});
  runs_.finish("bench", experiment.cells[0], 0.5);
  const Registry registry = record(experiment);
  PageRequest request;
  request.sources = {{&registry, experiment, "bench"}};
  request.tables = {table_of(registry)};
  const Page page = make_page(request);
  EXPECT_THAT(std::ranges::find(page.sections, "search", &PageSection::id)->html, IsEmpty());
}

}  // namespace
}  // namespace silc
